// Lines over steps, as SVG, with the figures as a table for those who read them.
import { make } from "./dom.js";

const WIDE = 720, HIGH = 280, EDGE = { left: 56, right: 14, top: 10, bottom: 34 };

function ticks(low, high, count = 5) {
  const rough = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough);
  const made = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step) made.push(Number(at.toPrecision(12)));
  return made;
}

const short = (value) => (Math.abs(value) >= 1e6 ? `${value / 1e6} M` : Math.abs(value) >= 1e4 ? `${value / 1e3} k` : String(value));

/** Draw lines: [{name, points: [[step, value], …]}]. */
export function plot(lines, { title, unit = "step" }) {
  const drawn = lines.filter((line) => line.points.length), all = drawn.flatMap((line) => line.points);
  if (!all.length) return make("p", { class: "soft" }, "No figures yet.");
  const span = (place) => {
    const low = Math.min(...all.map((point) => point[place])), high = Math.max(...all.map((point) => point[place]));
    return low === high ? [low - 0.5, high + 0.5] : [low, high];
  };
  const [left, right] = span(0), [bottom, top] = span(1), room = (top - bottom) * 0.04;
  const x = (step) => EDGE.left + ((step - left) / (right - left)) * (WIDE - EDGE.left - EDGE.right);
  const y = (value) => HIGH - EDGE.bottom - ((value - bottom + room) / (top - bottom + 2 * room)) * (HIGH - EDGE.top - EDGE.bottom);
  const svg = make("svg", { class: "plot", viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": `${title}; the figures are in the table below` });
  for (const value of ticks(bottom, top)) {
    svg.append(make("line", { class: "grid", x1: EDGE.left, x2: WIDE - EDGE.right, y1: y(value), y2: y(value) }),
      make("text", { x: EDGE.left - 6, y: y(value) + 4, "text-anchor": "end" }, short(value)));
  }
  for (const step of ticks(left, right)) svg.append(make("text", { x: x(step), y: HIGH - 14, "text-anchor": "middle" }, short(step)));
  svg.append(make("text", { x: WIDE - EDGE.right, y: HIGH - 1, "text-anchor": "end" }, unit));
  drawn.forEach((line, index) => {
    const path = line.points.map(([step, value], place) => `${place ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    svg.append(line.points.length > 1 ? make("path", { class: `s${index % 8}`, d: path })
      : make("circle", { class: `k${index % 8}`, cx: x(line.points[0][0]), cy: y(line.points[0][1]), r: 4 }));
  });
  const key = make("ul", { class: "legend", "aria-label": "Lines" }, ...drawn.map((line, index) => make("li", { class: "soft" },
    make("svg", { class: "dot", viewBox: "0 0 10 10", "aria-hidden": "true" }, make("circle", { cx: 5, cy: 5, r: 5, class: `k${index % 8}` })), ` ${line.name}`)));
  return make("div", {}, make("h3", {}, title), key, svg, table(drawn, title, unit));
}

function table(lines, title, unit) {
  const steps = [...new Set(lines.flatMap((line) => line.points.map((point) => point[0])))].sort((one, other) => one - other);
  const shown = steps.length > 40 ? steps.filter((_, index) => index % Math.ceil(steps.length / 40) === 0 || index === steps.length - 1) : steps;
  const cells = lines.map((line) => new Map(line.points));
  return make("details", {}, make("summary", {}, "Figures"), make("div", { class: "over", tabindex: 0, role: "region", "aria-label": `Figures: ${title}` }, make("table", {},
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, unit), ...lines.map((line) => make("th", { scope: "col" }, line.name)))),
    make("tbody", {}, ...shown.map((step) => make("tr", {}, make("th", { scope: "row" }, String(step)),
      ...cells.map((cell) => make("td", {}, cell.has(step) ? cell.get(step).toPrecision(4) : ""))))))));
}
