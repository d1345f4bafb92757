// The examples and counter-examples, which every view can add to.
import { button, tell } from "./dom.js";
import { nameOf } from "./player.js";

export const basket = new EventTarget();
Object.assign(basket, { like: [], unlike: [] });

function changed(words) {
  tell(words);
  basket.dispatchEvent(new Event("change"));
}

/** Put songs among the examples ("like") or the counter-examples ("unlike"). */
export function add(kind, tracks) {
  const other = kind === "like" ? "unlike" : "like", ids = new Set(tracks.map((track) => track.track_id));
  basket[other] = basket[other].filter((track) => !ids.has(track.track_id));
  const there = new Set(basket[kind].map((track) => track.track_id));
  basket[kind] = [...basket[kind], ...tracks.filter((track) => !there.has(track.track_id))];
  const what = tracks.length === 1 ? nameOf(tracks[0]) : `${tracks.length} songs`;
  changed(`${what}: added to ${kind === "like" ? "songs you like" : "songs to stay away from"}`);
}

export function remove(kind, track) {
  basket[kind] = basket[kind].filter((one) => one.track_id !== track.track_id);
  changed(`${nameOf(track)}: taken out`);
}

export function clear() {
  basket.like = [];
  basket.unlike = [];
  changed("No examples are left");
}

/** The two buttons that stand behind a song: more like this, and not like this. */
export const acts = (track) => [
  button("+", () => add("like", [track]), { class: "", title: "More like this", "aria-label": `More like ${nameOf(track)}` }),
  button("−", () => add("unlike", [track]), { class: "", title: "Not like this", "aria-label": `Not like ${nameOf(track)}` }),
];
