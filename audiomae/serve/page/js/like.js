// The view "Like these, not those": examples, counter-examples, and lists that follow from them.
import { get, post } from "./api.js";
import { acts, basket, clear, remove, add } from "./basket.js";
import { button, byId, clock, empty, field, fill, make } from "./dom.js";
import { nameOf, playTrack } from "./player.js";
import { factorFields, number, ruleFields } from "./rules.js";
import { listTools, songFinder, songList } from "./songs.js";

const MODES = [["ranking", "Ranking"], ["path", "Path"], ["radio", "Radio"]];

export class LikeView {
  constructor(about) {
    this.about = about;
    this.mode = "ranking";
    this.rules = ruleFields(about);
    this.factors = factorFields(about);
    this.steps = number({ min: 3, max: 50, value: 8 });
    this.diversity = make("input", { type: "range", min: 0, max: 1, step: 0.1, value: 0.3 });
    this.seed = 0;
    this.likes = make("ul", { class: "chips", "aria-label": "Songs you like" });
    this.unlikes = make("ul", { class: "chips not", "aria-label": "Songs to stay away from" });
    this.results = make("div", { class: "card", "aria-live": "off" });
    this.modes = MODES.map(([mode, words]) => button(words, () => this.setMode(mode), { "aria-pressed": String(mode === this.mode) }));
    this.hint = make("p", { class: "soft" });
    this.extra = make("div", { class: "tools" });
    byId("view-like").append(
      make("p", { class: "soft" }, "Name some songs you want more of, and some you do not; add others from any list with + and −."),
      make("div", { class: "pair" }, this.asked(), this.results));
    basket.addEventListener("change", () => this.refresh());
    this.box.addEventListener("change", () => this.refresh());
    this.setMode("ranking");
  }

  asked() {
    this.box = make("div", { class: "card" },
      make("h3", {}, "Like these"), songFinder("Add a song you like ", (track) => add("like", [track])), this.likes,
      make("h3", {}, "Not like these"), songFinder("Add a song to stay away from ", (track) => add("unlike", [track])), this.unlikes,
      button("Start afresh", () => clear()),
      make("h3", {}, "List"), make("div", { class: "group", role: "group", "aria-label": "Kind of list" }, ...this.modes), this.hint, this.extra,
      make("details", {}, make("summary", {}, "Filters"), this.rules.box),
      this.factors.any ? make("details", {}, make("summary", {}, "What counts as alike"), this.factors.box) : "");
    return this.box;
  }

  setMode(mode) {
    this.mode = mode;
    this.modes.forEach((node, index) => node.setAttribute("aria-pressed", String(MODES[index][0] === mode)));
    this.hint.textContent = {
      ranking: "The songs nearest to your examples and far from the others.",
      path: "From the first of your examples to the last, in even steps.",
      radio: "A list that wanders: near the examples, never twice the same.",
    }[mode];
    this.extra.replaceChildren(...{
      ranking: [], path: [field("Songs on the path", this.steps)],
      radio: [field("Variety", this.diversity), button("Another one", () => { this.seed += 1; this.refresh(); })],
    }[mode]);
    this.refresh();
  }

  chips(kind, place) {
    place.replaceChildren(...basket[kind].map((track) => make("li", {}, make("span", {}, nameOf(track)),
      button("×", () => remove(kind, track), { class: "", "aria-label": `Take ${nameOf(track)} out` }))));
    place.hidden = !basket[kind].length;
  }

  ask() {
    const ids = (tracks) => tracks.map((track) => track.track_id), like = ids(basket.like), unlike = ids(basket.unlike);
    const rules = this.rules.values(), by = this.factors.values();
    if (this.mode === "ranking") return post("/api/similar", { like, unlike, ...rules, ...(by ? { by } : {}) });
    if (this.mode === "path") {
      const { least, k, ...others } = rules;
      return post("/api/path", { start: like[0], end: like[like.length - 1], steps: Number(this.steps.value) || 8, ...others });
    }
    return post("/api/radio", { like, unlike, diversity: Number(this.diversity.value), seed: this.seed, ...rules });
  }

  refresh() {
    this.chips("like", this.likes);
    this.chips("unlike", this.unlikes);
    const few = this.mode === "path" ? 2 : 1;
    if (basket.like.length < few) {
      this.results.turn = null;
      this.results.replaceChildren(empty(few === 2 ? "A path needs two songs you like: its start and its end."
        : "Nothing to start from yet. Add a song you like on the left, or click + beside any song."));
      return;
    }
    const title = { ranking: "Songs like these", path: "Path", radio: "Radio" }[this.mode];
    fill(this.results, "Searching …", async () => {
      const { songs } = await this.ask();
      return [make("h3", {}, title), songs.length ? listTools(songs, title.toLowerCase().replaceAll(" ", "-")) : null,
        songList(songs, {
          amount: (song) => (song.cosine === undefined || song.cosine === null ? "" : song.cosine.toFixed(2)),
          acts: (song, row) => [...acts(song), this.why(song, row)],
          none: "No song keeps to all filters. Loosen one of them.",
        })];
    });
  }

  /** A button that opens why a song is in the list. */
  why(song, row) {
    const node = button("why", () => {
      const open = node.getAttribute("aria-expanded") === "true";
      node.setAttribute("aria-expanded", String(!open));
      if (open) { row.querySelector(".explain").remove(); return; }
      const place = make("div", { class: "explain" });
      row.append(place);
      fill(place, "Comparing …", () => explainSong(basket.like[0], song));
    }, { class: "", "aria-expanded": "false", "aria-label": `Why ${nameOf(song)} is in the list` });
    return node;
  }
}

async function explainSong(one, other) {
  const told = await get("/api/similar/explain", { one: one.track_id, other: other.track_id });
  const bars = Object.entries(told.factors || {}).flatMap(([name, value]) => [make("span", {}, name),
    make("meter", { min: 0, max: 1, value: Math.max(0, value), "aria-label": name }), make("span", {}, value.toFixed(2))]);
  const moments = (told.moments || []).slice(0, 4).map((moment) => make("li", {},
    button(`${nameOf(one)} at ${clock(moment.start_seconds)}`, () => playTrack(one, moment.start_seconds)), " and ",
    button(`here at ${clock(moment.other_start_seconds)}`, () => playTrack(other, moment.other_start_seconds)), ` (${moment.cosine.toFixed(2)})`));
  return [make("p", {}, `Compared with ${nameOf(one)}: cosine ${told.cosine.toFixed(2)}.`),
    bars.length ? make("div", { class: "bars" }, ...bars) : null,
    moments.length ? make("div", {}, "The moments most alike:", make("ul", {}, ...moments)) : null];
}
