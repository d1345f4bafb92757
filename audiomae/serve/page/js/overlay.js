// What lies over the points: names of regions, lines to neighbours, the lasso.
import { make } from "./dom.js";

const LETTER = 7.6, LINE = 20;

/** Where each region's name stands: in the middle of its points. */
export function middles(map) {
  const rows = map.names.map(() => []);
  map.codes.forEach((code, index) => rows[code] && rows[code].push(index));
  return rows.map((of, code) => {
    if (!of.length) return null;
    const middle = (values) => {
      const sorted = Float32Array.from(of, (index) => values[index]).sort();
      return sorted[sorted.length >> 1];
    };
    return { name: map.names[code], x: middle(map.x), y: middle(map.y), count: of.length };
  }).filter(Boolean).sort((one, other) => other.count - one.count);
}

export class Overlay {
  constructor(box) {
    this.lines = make("g");
    this.words = make("g");
    this.lasso = make("polygon", { class: "lasso-line", visibility: "hidden" });
    this.aim = make("circle", { class: "aim-ring", r: 9, visibility: "hidden" });
    this.svg = make("svg", { "aria-hidden": "true" }, this.lines, this.words, this.aim, this.lasso);
    this.regions = [];
    this.near = { chosen: null, others: [] };
    box.append(this.svg);
  }

  name(regions) {
    this.regions = regions.map((region) => ({ ...region, node: make("text", { class: "region" }, region.name) }));
    this.words.replaceChildren(...this.regions.map((region) => region.node));
  }

  /** Join a song with its neighbours; all are places on the map. */
  join(chosen, others) {
    this.near = { chosen, others: others.map((place) => ({ place, line: make("line", { class: "near-line" }), ring: make("circle", { class: "near-ring", r: 6.5 }) })) };
    this.ring = chosen ? make("circle", { class: "chosen-ring", r: 9 }) : null;
    this.lines.replaceChildren(...this.near.others.map((one) => one.line), ...this.near.others.map((one) => one.ring), ...(this.ring ? [this.ring] : []));
  }

  draw(dots) {
    const taken = [];
    for (const region of this.regions) {
      const [x, y] = dots.at(region.x, region.y), wide = region.name.length * LETTER;
      const box = [x - wide / 2, y - LINE / 2, x + wide / 2, y + LINE / 2];
      const clear = box[0] > 2 && box[2] < dots.wide - 2 && y > 12 && y < dots.high - 8
        && taken.every((other) => box[2] < other[0] || box[0] > other[2] || box[3] < other[1] || box[1] > other[3]);
      region.node.setAttribute("visibility", clear ? "visible" : "hidden");
      if (!clear) continue;
      taken.push(box);
      region.node.setAttribute("x", x);
      region.node.setAttribute("y", y + 4);
    }
    if (!this.near.chosen) return;
    const [x, y] = dots.at(...this.near.chosen);
    const put = (node, values) => Object.entries(values).forEach(([key, value]) => node.setAttribute(key, value));
    put(this.ring, { cx: x, cy: y });
    for (const { place, line, ring } of this.near.others) {
      const [left, top] = dots.at(...place);
      put(line, { x1: x, y1: y, x2: left, y2: top });
      put(ring, { cx: left, cy: top });
    }
  }

  point(place) {
    this.aim.setAttribute("visibility", place ? "visible" : "hidden");
    if (place) { this.aim.setAttribute("cx", place[0]); this.aim.setAttribute("cy", place[1]); }
  }

  trace(path) {
    this.lasso.setAttribute("visibility", path ? "visible" : "hidden");
    if (path) this.lasso.setAttribute("points", path.map((point) => point.map(Math.round).join(",")).join(" "));
  }
}

/** Whether a point lies in a polygon of [x, y]. */
export function inside(x, y, path) {
  let within = false;
  for (let here = 0, before = path.length - 1; here < path.length; before = here, here += 1) {
    const [left, low] = path[here], [right, high] = path[before];
    if ((low > y) !== (high > y) && x < ((right - left) * (y - low)) / (high - low) + left) within = !within;
  }
  return within;
}
