// The view "Map": every song a point.
import { floats, get, shorts } from "./api.js";
import { acts, add } from "./basket.js";
import { Chart } from "./chart.js";
import { colouringBy, legend, paints } from "./colours.js";
import { busy, button, byId, choice, empty, fault, field, fill, make, tell } from "./dom.js";
import { middles } from "./overlay.js";
import { playTrack } from "./player.js";
import { finder, listTools, songList } from "./songs.js";

const LISTED = 200;
const plainText = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

export class MapView {
  constructor(about) {
    Object.assign(this, { about, by: "region", only: null, found: null, picked: null, chosen: -1 });
    this.tip = make("div", { id: "tip", hidden: true });
    this.box = make("div", {
      id: "chart", tabindex: 0, role: "group", "aria-roledescription": "map of songs",
      "aria-label": "Map of songs. Arrow keys go to the next song in that direction, Enter plays it and lists its neighbours, plus and minus zoom.",
    });
    this.side = make("div", { class: "card", id: "map-side" });
    this.legendBox = make("div");
    this.said = make("span", { class: "soft", role: "status" });
    this.wait = busy("Placing the songs …");
    byId("view-map").append(
      make("p", { class: "soft" }, "Each point is a song; songs that sound alike to the model lie near each other. Two dimensions cannot hold every likeness: lines and list show the true nearest songs."),
      this.tools(), this.legendBox,
      make("div", { class: "two" }, this.box, this.side));
    this.chart = new Chart(this.box, {
      choose: (index) => this.choose(index), hover: (index) => this.hover(index), lasso: (found) => this.lasso(found),
      aim: (index) => { this.hover(index); tell(`${this.nameAt(index)}`); }, shown: (index) => this.shown(index),
    }, { flat: new URLSearchParams(location.search).has("flat") });
    this.box.append(this.zoomer(), this.tip, this.wait);
    this.side.append(empty("Click a song to hear it and to see what is nearest to it."));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
    this.load();
  }

  tools() {
    this.choices = choice([["region", "region"]], "region", (by) => this.colourBy(by));
    const lasso = button("Lasso", () => {
      const on = this.chart.mode !== "lasso";
      this.chart.mode = on ? "lasso" : "move";
      this.box.classList.toggle("lasso", on);
      lasso.setAttribute("aria-pressed", String(on));
    }, { "aria-pressed": "false", title: "Draw around songs to list them (or hold Shift and drag)" });
    const found = finder("Find ", {
      search: async (text) => this.search(text), onText: (text) => this.mark(text),
      choose: (index) => { this.mark(""); this.chart.show(index); this.choose(index); },
      line: (index) => [this.map.titles[index] || this.map.track_ids[index], make("small", {}, this.map.artists[index] || "")],
      placeholder: "title or artist",
    });
    return make("div", { class: "tools" }, found, field("Colour by", this.choices), lasso, this.said);
  }

  zoomer() {
    const one = (sign, words, work) => button(sign, work, { class: "", "aria-label": words, title: words });
    return make("div", { class: "zoom" }, one("+", "Zoom in", () => this.chart.zoom(1.6)),
      one("−", "Zoom out", () => this.chart.zoom(1 / 1.6)), one("⤢", "Show the whole map", () => this.chart.whole()));
  }

  async load() {
    try {
      const answer = await get("/api/map");
      this.map = { ...answer, x: floats(answer.x), y: floats(answer.y), codes: shorts(answer.clusters.codes), names: answer.clusters.names };
    } catch (error) {
      this.wait.replaceWith(fault(error));
      return;
    }
    this.rows = new Map(this.map.track_ids.map((id, index) => [id, index]));
    this.texts = null;
    this.picked = this.found = null;
    const columns = this.map.columns || [];
    this.choices.replaceChildren(...["region", ...columns].map((name) => make("option", { value: name, selected: name === this.by }, name)));
    if (!this.map.track_ids.length) {
      this.wait.hidden = false;  // it stays where it is: songs may come while the page is open
      this.wait.textContent = "This collection holds no song yet. Songs appear here as they come.";
      return;
    }
    this.chart.set(this.map.x, this.map.y);
    this.chart.overlay.name(middles(this.map));
    await this.colourBy(this.by);
    this.wait.hidden = this.map.final !== false;
    this.wait.textContent = "A first map; a better one is on its way …";
    if (this.map.final === false) setTimeout(() => this.poll(), 4000);
    if (this.chosen >= 0) this.join([]);
    this.box.dataset.drawn = String(Math.round(performance.now()));
  }

  /** Look for the better map without asking for all points. */
  async poll() {
    try {
      const now = await get("/api/map/state");
      if (now.final === false) setTimeout(() => this.poll(), 4000);
      else { await this.load(); tell("The map is complete"); }
    } catch { this.wait.hidden = true; }
  }

  nameAt(index) { return [this.map.titles[index] || this.map.track_ids[index], this.map.artists[index]].filter(Boolean).join(", "); }

  shown(index) {
    if (this.picked && !this.picked.has(index)) return false;
    if (this.found && !this.found.has(index)) return false;
    return this.only === null || !this.colouring || this.colouring.kind === "number" || this.colouring.of[index] === this.only;
  }

  async colourBy(by) {
    try {
      this.colouring = await colouringBy(by, this.map);
      this.said.textContent = "";
    } catch (error) {
      this.said.textContent = error.message;
      return;
    }
    Object.assign(this, { by, only: null });
    this.recolour();
  }

  recolour() {
    if (!this.colouring) return;
    this.legendBox.replaceChildren(legend(this.colouring, this.only, (rank) => { this.only = rank; this.recolour(); }));
    this.chart.paint(paints(this.colouring, this.map.x.length, (index) => this.shown(index)));
  }

  search(text) {
    if (!this.texts) this.texts = this.map.titles.map((title, index) => plainText(`${title || this.map.track_ids[index]} ${this.map.artists[index] || ""}`));
    const words = plainText(text).split(/\s+/).filter(Boolean), found = [];
    for (let index = 0; index < this.texts.length; index += 1) {
      if (words.every((word) => this.texts[index].includes(word))) found.push(index);
    }
    this.found = new Set(found);
    this.said.textContent = `${found.length.toLocaleString("en")} of ${this.texts.length.toLocaleString("en")} songs`;
    this.recolour();
    return found.slice(0, 12);
  }

  mark(text) {
    if (text || !this.found) return;
    this.found = null;
    this.said.textContent = "";
    this.recolour();
  }

  hover(index) {
    this.tip.hidden = index === null;
    if (index === null) return;
    this.tip.replaceChildren(make("b", {}, this.map.titles[index] || this.map.track_ids[index]), make("span", {}, this.map.artists[index] || ""));
    const [x, y] = this.chart.dots.at(this.map.x[index], this.map.y[index]), { wide, high } = this.chart.dots;
    this.tip.style.left = `${Math.max(4, Math.min(x + 12, wide - this.tip.offsetWidth - 4))}px`;
    this.tip.style.top = `${y + 14 + this.tip.offsetHeight > high ? y - this.tip.offsetHeight - 12 : y + 14}px`;
  }

  choose(index) {
    this.chosen = index;
    this.join([]);
    fill(this.side, "Looking for the nearest songs …", async () => {
      const answer = await get("/api/similar", { like: this.map.track_ids[index], k: 10 });
      const track = answer.like[0];
      if (this.chosen === index) { playTrack(track); this.join(answer.songs); }
      return [songList([track], { acts }),
        make("h3", {}, "Nearest songs"),
        make("p", { class: "soft" }, "with their cosine: 1 is the same direction, 0 unrelated"),
        songList(answer.songs, { amount: (song) => song.cosine.toFixed(2), acts })];
    });
  }

  /** Draw lines from the chosen song to its true neighbours. */
  join(songs) {
    const place = (index) => [this.map.x[index], this.map.y[index]];
    const others = songs.map((song) => this.rows.get(song.track_id)).filter((index) => index !== undefined);
    this.chart.overlay.join(place(this.chosen), others.map(place));
    this.chart.draw();
  }

  lasso(found) {
    if (!found.length) { this.said.textContent = "No song lies in there."; return; }
    this.picked = new Set(found);
    this.recolour();
    const tracks = found.map((index) => ({ track_id: this.map.track_ids[index], title: this.map.titles[index], artist: this.map.artists[index] }));
    const all = found.length.toLocaleString("en");
    this.said.textContent = `${all} songs picked`;
    this.side.turn = null;
    this.side.replaceChildren(
      make("h3", {}, `${all} songs picked`),
      make("div", { class: "tools" },
        button("Find songs like these", () => { add("like", tracks.slice(0, 50)); location.hash = "like"; }, { class: "plain main" }),
        button("Show all again", () => { this.picked = null; this.said.textContent = ""; this.recolour(); this.side.replaceChildren(empty("Click a song, or draw around some.")); })),
      listTools(tracks, "map-selection"),
      songList(tracks.slice(0, LISTED), { acts, long: true }),
      found.length > LISTED ? make("p", { class: "soft" }, `The first ${LISTED} are listed; a playlist holds all.`) : "");
  }
}
