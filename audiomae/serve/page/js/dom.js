// Elements and small states. Text from the collection only ever becomes text, never markup.
const DRAWN = new Set(["svg", "g", "circle", "line", "path", "polygon", "rect", "text", "title"]);

export const byId = (id) => document.getElementById(id);

export function make(name, attributes = {}, ...children) {
  const node = DRAWN.has(name) ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const busy = (words) => make("p", { class: "busy", role: "status" }, words);
export const fault = (error) => make("p", { class: "fault", role: "alert" }, error.message || String(error));
export const empty = (words, ...more) => make("div", { class: "empty" }, make("p", {}, words), ...more);

/** Fill a place with what a promise brings: waiting, then the nodes, or one line that says what is wrong. */
export async function fill(place, words, work) {
  const turn = Symbol("turn");
  place.turn = turn;
  const late = setTimeout(() => { if (place.turn === turn) place.replaceChildren(busy(words)); }, 150);
  try {
    const nodes = await work();
    if (place.turn === turn) place.replaceChildren(...[nodes].flat().filter(Boolean));
  } catch (error) {
    if (error.name !== "AbortError" && place.turn === turn) place.replaceChildren(fault(error));
  } finally {
    clearTimeout(late);
  }
}

/** Tell a screen reader. */
export function tell(words) { byId("told").textContent = words; }

export function later(milliseconds, work) {
  let waiting;
  return (...values) => { clearTimeout(waiting); waiting = setTimeout(() => work(...values), milliseconds); };
}

export const clock = (seconds) => {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};

let names = 0;
/** An id of its own for an element that another one must name. */
export const freshId = (stem) => `${stem}-${(names += 1)}`;

export function field(words, input) {
  return make("label", {}, words, input);
}

export function button(words, work, attributes = {}) {
  return make("button", { type: "button", class: "plain", onclick: work, ...attributes }, words);
}

export function choice(values, chosen, work) {
  const list = make("select", {});
  for (const [value, words] of values) list.append(make("option", { value, selected: value === chosen }, words));
  if (work) list.addEventListener("change", () => work(list.value));
  return list;
}
