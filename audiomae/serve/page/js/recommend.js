// The view "Recommendations": a listener, their list, why, and the lists of simpler ways beside it.
import { get, post } from "./api.js";
import { acts } from "./basket.js";
import { button, byId, choice, empty, field, fill, make } from "./dom.js";
import { nameOf } from "./player.js";
import { number } from "./rules.js";
import { finder, listTools, songFinder, songList } from "./songs.js";

export class RecommendView {
  constructor(about) {
    const place = byId("view-recommend");
    Object.assign(this, { about, user: null, liked: [] });
    if (!about.recommender) {
      place.append(empty("No recommender is open.", make("p", {}, "Start ", make("code", {}, "audiomae serve … --recommender FOLDER"), " with a folder that audiomae train-towers made.")));
      return;
    }
    const known = about.recommender;
    this.k = number({ min: 1, max: 200, value: 10 });
    this.perArtist = number({ min: 1, placeholder: "any" });
    this.unplayed = number({ min: 0, value: 0 });
    this.heard = make("input", { type: "checkbox" });
    this.ranker = known.stages > 1 ? choice([["", "as it did best"], ["true", "candidates, then ranker"], ["false", "candidates alone"]], "") : null;
    this.who = make("p", {}, "Nobody is chosen yet.");
    this.fields = (known.fields || []).map((name) => [typeof name === "string" ? name : name.name, make("input", { type: "text", placeholder: "unknown" })]);
    this.likedBox = make("ul", { class: "chips", "aria-label": "Songs that the new listener likes" });
    this.results = make("div");
    const asked = make("div", { class: "card" }, this.form());
    place.append(make("p", { class: "soft" }, `${known.users ? `${known.users.toLocaleString("en")} users, ${known.songs.toLocaleString("en")} songs; ` : ""}${known.stages > 1 ? "two towers find candidates, a ranker orders them" : "two towers find and order the songs"}.`),
      make("div", { class: "pair" }, asked, this.results));
    this.results.append(empty("Choose a user, or describe somebody new."));
    asked.addEventListener("change", (event) => { if (!event.target.closest(".finder")) this.refresh(); });
  }

  form() {
    const more = make("div", { class: "fields" }, field("Songs", this.k), field("At most of an artist", this.perArtist),
      field("Songs nobody has played", this.unplayed), this.ranker ? field("Order", this.ranker) : "",
      make("label", { class: "tick" }, this.heard, "Songs heard before too"));
    return make("div", {},
      make("h3", {}, "A user"),
      finder("Find a user ", {
        placeholder: "id", search: async (text) => (await get("/api/users", { query: text, limit: 12 })).users.map((user) => (typeof user === "string" ? { user } : user)),
        line: (user) => [idOf(user), make("small", {}, about(user))], choose: (user) => { this.user = user; this.refresh(); },
      }), this.who,
      make("details", {}, make("summary", {}, "Or describe somebody new"),
        make("div", { class: "fields" }, ...this.fields.map(([name, input]) => field(name, input))),
        songFinder("Songs they like ", (track) => { this.liked.push(track); this.user = null; this.chips(); this.refresh(); }), this.likedBox,
        button("Recommend for them", () => { this.user = null; this.refresh(true); })),
      make("details", {}, make("summary", {}, "The list"), more));
  }

  chips() {
    this.likedBox.replaceChildren(...this.liked.map((track) => make("li", {}, make("span", {}, nameOf(track)),
      button("×", () => { this.liked = this.liked.filter((one) => one !== track); this.chips(); this.refresh(); }, { class: "", "aria-label": `Take ${nameOf(track)} out` }))));
  }

  /** Who is asked for: a user's id, or fields and liked songs. */
  person() {
    if (this.user) return { user: idOf(this.user) };
    const filled = this.fields.filter(([, input]) => input.value.trim()).map(([name, input]) => {
      const text = input.value.trim();
      return [name, Number.isFinite(Number(text)) ? Number(text) : text];
    });
    return { new: Object.fromEntries(filled), liked: this.liked.map((track) => track.track_id) };
  }

  refresh(asked = false) {
    const person = this.person();
    if (!this.user && !this.liked.length && !Object.keys(person.new).length && !asked) return;
    this.who.textContent = this.user ? `${idOf(this.user)}${about(this.user) ? `: ${about(this.user)}` : ""}` : "Somebody new, as described below.";
    const body = { ...person, k: Number(this.k.value) || 10, heard: this.heard.checked };
    if (this.perArtist.value) body.per_artist = Number(this.perArtist.value);
    if (Number(this.unplayed.value)) body.unplayed = Number(this.unplayed.value);
    if (this.ranker && this.ranker.value) body.ranker = this.ranker.value === "true";
    fill(this.results, "Recommending …", async () => {
      const made = await post("/api/recommend", body);
      const how = made.stages > 1 ? "Candidates of the towers, ordered by the ranker." : "Candidates and order of the towers.";
      const simple = [["What most people play", made.popular, "The most popular songs, the same for everybody."],
        ["Mel tower", made.mel, "The same towers on mel statistics instead of the learned vectors."]];
      return [make("div", { class: "card" }, make("h3", {}, "For this listener"), make("p", { class: "soft" }, how),
        made.songs.length ? listTools(made.songs, "recommended") : null,
        songList(made.songs, { acts: (song, row) => [...acts(song), this.why(song, row, person)], none: "No song is left for this listener." })),
      make("div", { class: "three" }, ...simple.filter(([, songs]) => songs).map(([title, songs, words]) => make("div", { class: "card" },
        make("h3", {}, title), make("p", { class: "soft" }, words), songList(songs, { acts }))))];
    });
  }

  why(song, row, person) {
    const node = button("why", () => {
      const open = node.getAttribute("aria-expanded") === "true";
      node.setAttribute("aria-expanded", String(!open));
      if (open) { row.querySelector(".explain").remove(); return; }
      const place = make("div", { class: "explain" });
      row.append(place);
      fill(place, "Asking why …", async () => reasons(await post("/api/recommend/explain", { ...person, track: song.track_id })));
    }, { class: "", "aria-expanded": "false", "aria-label": `Why ${nameOf(song)} is recommended` });
    return node;
  }
}

const idOf = (user) => String(user.user ?? user.user_id ?? user.id);
const about = (user) => Object.entries(user).filter(([name, value]) => !["user", "user_id", "id"].includes(name) && value !== null && value !== "" && typeof value !== "object")
  .map(([name, value]) => `${name} ${value}`).join(", ");

const SHARES = { cosine: "taste: how well the song's vector fits the listener's", popularity: "how often it is played", ranker: "the ranker's own view" };

/** An explanation in words: what the place is made of, and which songs heard before are nearest. */
function reasons(told) {
  const shares = Object.entries(told.shares || {}).filter(([, share]) => share > 0.0005);
  const bars = shares.flatMap(([name, share]) => [make("span", {}, SHARES[name] || name.replaceAll("_", " ")),
    make("meter", { min: 0, max: 1, value: share, "aria-label": SHARES[name] || name }), make("span", {}, `${Math.round(100 * share)} %`)]);
  const heard = (told.nearest_heard || []).slice(0, 4).map((song) => make("li", {}, `${nameOf(song)}${song.artist ? `, ${song.artist}` : ""} (cosine ${song.cosine.toFixed(2)})`));
  const features = Object.entries(told.features || {}).slice(0, 6).map(([name, value]) => make("li", {}, `${name.replaceAll("_", " ")}: ${typeof value === "number" ? value.toPrecision(3) : String(value)}`));
  const before = told.place_of_retrieval && told.place_of_retrieval !== told.place ? `; the towers alone had it at ${told.place_of_retrieval}` : "";
  return [make("p", {}, `Place ${told.place} of ${told.items} songs${before}.${told.heard ? " Heard before." : ""}`),
    bars.length ? make("div", {}, "What its score is made of:", make("div", { class: "bars" }, ...bars)) : null,
    heard.length ? make("div", {}, "Nearest songs that this listener has heard:", make("ul", {}, ...heard)) : null,
    features.length ? make("div", {}, "What the ranker saw:", make("ul", {}, ...features)) : null];
}
