// What the points of the map are coloured by, and the legend.
import { floats, get, shorts } from "./api.js";
import { make } from "./dom.js";

const SHADES = 10;

function paintOf(name) {
  const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const wide = text.length === 4 ? text.replace(/[0-9a-f]/gi, "$&$&") : text;
  return [1, 3, 5].map((place) => parseInt(wide.slice(place, place + 2), 16));
}

/** Ask for a colouring: {kind, codes and names} or {values, low, high}; the regions come with the map. */
export async function colouringBy(by, map) {
  if (by === "region") return ranked({ kind: "category", codes: map.codes, names: map.names, others: "smaller regions" });
  const answer = await get("/api/map/colours", { by });
  if (answer.kind === "number") return { ...answer, values: floats(answer.values) };
  return ranked({ kind: "category", codes: shorts(answer.codes), names: answer.names, others: "others" });
}

/** Give the ten most frequent values a colour each; all others share one. */
function ranked(colouring) {
  const counts = new Uint32Array(65536);
  for (const code of colouring.codes) counts[code] += 1;
  const known = colouring.names.map((name, code) => [code, counts[code]]).filter(([code, count]) => count && colouring.names[code]);
  known.sort((one, other) => other[1] - one[1]);
  const shade = new Int8Array(65536).fill(-1);
  known.slice(0, SHADES).forEach(([code], rank) => { shade[code] = rank; });
  const of = new Int8Array(colouring.codes.length);
  for (let index = 0; index < of.length; index += 1) of[index] = shade[colouring.codes[index]];
  return { ...colouring, of, shown: known.slice(0, SHADES).map(([code]) => colouring.names[code]), more: of.includes(-1) };
}

/** Red, green, blue and alpha of every point; points that `shown` leaves out are faint. */
export function paints(colouring, count, shown) {
  const out = new Uint8Array(4 * count), other = paintOf("--other");
  const shades = Array.from({ length: SHADES }, (_, rank) => paintOf(`--c${rank}`));
  const low = paintOf("--low"), high = paintOf("--high"), span = (colouring.high - colouring.low) || 1;
  for (let index = 0; index < count; index += 1) {
    let paint = other;
    if (colouring.kind === "number") {
      const share = Math.max(0, Math.min(1, (colouring.values[index] - colouring.low) / span));
      if (!Number.isNaN(share)) paint = low.map((value, place) => value + share * (high[place] - value));
    } else if (colouring.of[index] >= 0) {
      paint = shades[colouring.of[index]];
    }
    out[4 * index] = paint[0];
    out[4 * index + 1] = paint[1];
    out[4 * index + 2] = paint[2];
    out[4 * index + 3] = shown(index) ? 235 : 26;
  }
  return out;
}

/** The legend: a button a value; one of them shows that value alone. `choose` gets a rank, -1 for the others, or null. */
export function legend(colouring, only, choose) {
  const list = make("ul", { class: "legend", "aria-label": "Colours; choose one to see it alone" });
  if (colouring.kind === "number") {
    const say = (value) => (Number.isInteger(value) ? String(value) : value.toPrecision(4));
    list.append(make("li", { class: "soft" }, `${say(colouring.low)} `, make("span", { class: "scale" }), ` ${say(colouring.high)}`));
    return list;
  }
  const entries = colouring.shown.map((name, rank) => [name, rank]);
  if (colouring.more) entries.push([entries.length ? colouring.others : "unknown", -1]);
  for (const [name, rank] of entries) {
    list.append(make("li", {}, make("button", {
      type: "button", "aria-pressed": String(only === rank), title: name, onclick: () => choose(only === rank ? null : rank),
    },
    make("svg", { class: "dot", viewBox: "0 0 10 10", "aria-hidden": "true" },
      make("circle", { cx: 5, cy: 5, r: 5, class: rank < 0 ? "kx" : `k${rank}` })),
    make("span", {}, name))));
  }
  return list;
}
