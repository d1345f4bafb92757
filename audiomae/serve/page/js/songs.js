// Lists of songs, and the field that finds one.
import { get, save } from "./api.js";
import { button, clock, empty, freshId, later, make, tell } from "./dom.js";
import { mark, nameOf, playThrough, playTrack } from "./player.js";

export { nameOf };

export const credit = (track) => [track.artist, track.album, track.seconds ? clock(track.seconds) : ""].filter(Boolean).join(" · ");

/** A button that plays a song. */
export function songButton(track, amount = "", from = null) {
  return make("button", {
    class: "song", type: "button", "data-track": track.track_id, "aria-pressed": "false",
    onclick: () => playTrack(track, from),
  },
  make("span", { class: "sign", "aria-hidden": "true" }, "▶"),
  make("span", { class: "what" }, make("span", { class: "unseen" }, "Play "), nameOf(track), make("small", {}, credit(track))),
  make("span", { class: "amount" }, amount));
}

/** A list of songs; `acts` returns the nodes that stand behind each. */
export function songList(tracks, { amount = () => "", acts = () => [], none = "No song.", long = false } = {}) {
  if (!tracks.length) return empty(none);
  const list = make("ol", { class: `songs${long ? " long" : ""}` });
  if (long) { list.tabIndex = 0; list.setAttribute("aria-label", "Songs"); }
  for (const track of tracks) {
    const row = make("li", {}, songButton(track, amount(track)));
    const behind = [acts(track, row)].flat().filter(Boolean);
    row.append(make("span", { class: "acts" }, ...behind));
    list.append(row);
  }
  queueMicrotask(mark);
  return list;
}

/** Buttons that play a list through and save it. */
export function listTools(tracks, name) {
  const keep = (format) => save("/api/playlists", { name, tracks: tracks.map((track) => track.track_id), format }, `${name}.${format}`)
    .then(() => tell(`${name}.${format} saved`), (error) => { said.textContent = error.message; });
  const said = make("span", { class: "soft", role: "status" });
  return make("div", { class: "tools" },
    button("▶ Play through", () => playThrough(tracks)),
    button("Save as M3U8", () => keep("m3u8")), button("Save as CSV", () => keep("csv")), said);
}

/** A field with a list of what was typed: arrows and Enter choose, Escape closes. */
export function finder(words, { search, choose, line, placeholder = "title, artist, album", onText = () => {} }) {
  const listId = freshId("found"), said = make("span", { class: "unseen", role: "status" });
  const list = make("ul", { id: listId, role: "listbox", "aria-label": `Found for: ${words}`, hidden: true });
  const input = make("input", {
    type: "text", role: "combobox", autocomplete: "off", spellcheck: "false", placeholder,
    "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": listId,
  });
  let found = [], at = -1, turn = 0;

  function open(shown) {
    list.hidden = !shown;
    input.setAttribute("aria-expanded", String(shown));
    if (!shown) { at = -1; input.removeAttribute("aria-activedescendant"); }
  }
  function aim(place) {
    at = place;
    [...list.children].forEach((node, index) => node.setAttribute("aria-selected", String(index === at)));
    const node = list.children[at];
    if (!node) return;
    input.setAttribute("aria-activedescendant", node.id);
    node.scrollIntoView({ block: "nearest" });
  }
  function take(place) {
    const one = found[place];
    if (one === undefined) return;
    open(false);
    input.value = "";
    onText("");
    choose(one);
  }
  const look = later(140, async () => {
    const text = input.value.trim(), mine = (turn += 1);
    onText(text);
    if (!text) { open(false); return; }
    try {
      const answer = await search(text);
      if (mine !== turn) return;
      found = answer;
    } catch (error) {
      found = [];
      said.textContent = error.message;
    }
    list.replaceChildren(...found.map((one, index) => make("li", {
      id: freshId("option"), role: "option", "aria-selected": "false",
      onpointerdown: (event) => { event.preventDefault(); take(index); },
    }, ...line(one))));
    if (!found.length) list.append(make("li", { class: "none", role: "option", "aria-selected": "false", "aria-disabled": "true" }, "Nothing found"));
    said.textContent = found.length ? `${found.length} found` : "Nothing found";
    open(true);
    aim(found.length ? 0 : -1);
  });
  input.addEventListener("input", look);
  input.addEventListener("blur", () => open(false));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { open(false); return; }
    if (event.key === "Enter") { event.preventDefault(); if (!list.hidden) take(at); return; }
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    if (!list.hidden && found.length) aim((at + (event.key === "ArrowDown" ? 1 : found.length - 1)) % found.length);
  });
  return make("div", { class: "finder" }, make("label", {}, words, input), list, said);
}

/** A field that finds a song of the collection. */
export const songFinder = (words, choose) => finder(words, {
  choose,
  search: async (text) => (await get("/api/tracks", { query: text, limit: 12 })).tracks,
  line: (track) => [nameOf(track), make("small", {}, credit(track))],
});
