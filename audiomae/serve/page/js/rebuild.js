// The view "Mask and rebuild": a clip, what is hidden of it, and what the model makes of the rest.
import { media, post, trackPath } from "./api.js";
import { button, byId, clock, empty, field, fill, make, tell } from "./dom.js";
import { mark, nameOf, playSound } from "./player.js";
import { number } from "./rules.js";
import { songButton, songFinder } from "./songs.js";

// Slaney's mel scale, on which the rows of the picture lie evenly.
const LOW_HZ = 50, HIGH_HZ = 8000;
const melOf = (hertz) => (hertz < 1000 ? (3 * hertz) / 200 : 15 + (27 * Math.log(hertz / 1000)) / Math.log(6.4));
const hertzOf = (mel) => (mel < 15 ? (mel * 200) / 3 : 1000 * Math.exp(((mel - 15) * Math.log(6.4)) / 27));
const rise = melOf(HIGH_HZ) - melOf(LOW_HZ);
const hertzAt = (share) => hertzOf(melOf(LOW_HZ) + share * rise);
const shareOf = (hertz) => (melOf(Math.min(HIGH_HZ, Math.max(LOW_HZ, hertz))) - melOf(LOW_HZ)) / rise;

export class RebuildView {
  constructor(about) {
    Object.assign(this, { about, kind: "spans", spans: [], bands: [], track: null, start: 0, seed: 0 });
    const place = byId("view-rebuild");
    if (!about.model) {
      place.append(empty("No model is open.", make("p", {}, "Start ", make("code", {}, "audiomae serve … --model tiny"), " (or a run folder) to rebuild clips.")));
      return;
    }
    this.seconds = about.clip_seconds || 5;
    this.work = make("div");
    this.results = make("div", { class: "card", hidden: true });
    place.append(make("p", { class: "soft" }, `Hide parts of a ${this.seconds.toFixed(1)} s clip from the model; it fills them in from the rest alone. Seconds hide all that sounds then; bands hide a range of pitch, within those seconds where both are given.`),
      make("div", { class: "tools" }, songFinder("Song ", (track) => this.pick(track))), this.work, this.results);
    this.work.append(empty("Find a song above to begin."));
  }

  pick(track) {
    const most = Math.max(0, (track.seconds || 0) - this.seconds);
    Object.assign(this, { track, spans: [], bands: [], start: Math.floor(most / 2) });
    this.results.hidden = true;
    this.image = make("img", { alt: `Mel spectrogram of ${nameOf(track)}`, draggable: "false" });
    this.cuts = make("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" });
    this.box = make("div", { id: "clip-box" }, this.image, this.cuts);
    this.failed = make("p", { class: "fault", hidden: true }, "This clip cannot be shown: the song's file is not there or cannot be read.");
    this.image.addEventListener("error", () => { this.failed.hidden = false; });
    this.list = make("ul", { class: "chips", "aria-label": "Masked parts" });
    this.share = make("span", { class: "soft", role: "status" });
    const from = make("input", { type: "range", min: 0, max: most.toFixed(1), step: 0.1, value: this.start });
    this.when = make("span", { class: "soft" });
    from.addEventListener("input", () => { this.start = Number(from.value); this.axis(); });
    from.addEventListener("change", () => this.picture());
    this.kinds = [["spans", "Seconds"], ["bands", "Bands"]].map(([kind, words]) => button(words, () => this.setKind(kind), { "aria-pressed": String(kind === this.kind) }));
    this.low = number({ min: 0, step: "any" });
    this.high = number({ min: 0, step: "any" });
    this.unit = make("span", { class: "soft" });
    this.axisBox = make("div", { class: "axis", "aria-hidden": "true" });
    this.go = button("Rebuild", () => this.rebuild(), { class: "plain main" });
    this.work.replaceChildren(make("div", { class: "card" },
      songButton(track), make("div", { class: "tools" }, field("Clip starts at", from), this.when),
      this.failed, this.box, this.axisBox,
      make("div", { class: "tools" },
        make("span", { class: "group", role: "group", "aria-label": "What a drag masks" }, ...this.kinds),
        field("from", this.low), field("to", this.high), this.unit, button("Mask", () => this.typed()),
        button("Mask 70 % at random", () => this.random()), button("Mask nothing", () => { this.spans = []; this.bands = []; this.draw(); })),
      this.list, make("div", { class: "tools" }, this.go, this.share)));
    this.drag();
    this.setKind("spans");
    this.picture();
    this.draw();
  }

  setKind(kind) {
    this.kind = kind;
    this.kinds.forEach((node, index) => node.setAttribute("aria-pressed", String((index === 0) === (kind === "spans"))));
    this.unit.textContent = kind === "spans" ? "seconds of the clip" : "Hz";
    const ends = kind === "spans" ? [1, 2] : [500, 2000];
    [this.low.value, this.high.value] = ends;
  }

  picture() {
    this.failed.hidden = true;
    this.image.src = media(trackPath(this.track.track_id, "/mel.png"), { start: this.start.toFixed(2), seconds: this.seconds.toFixed(2) });
    this.axis();
  }

  axis() {
    this.when.textContent = `${clock(this.start)} to ${clock(this.start + this.seconds)}`;
    this.axisBox.replaceChildren(...[0, 1, 2, 3, 4].map((part) => make("span", {}, `${((part / 4) * this.seconds).toFixed(1)} s`)));
  }

  /** Drag over the picture to mask: along it for seconds, up and down for bands. */
  drag() {
    let begun = null;
    const share = (event) => {
      const box = this.box.getBoundingClientRect();
      const [across, up] = [(event.clientX - box.left) / box.width, (box.bottom - event.clientY) / box.height];
      return Math.max(0, Math.min(1, this.kind === "spans" ? across : up));
    };
    const ends = (event) => [begun, share(event)].sort((one, other) => one - other);
    this.box.addEventListener("pointerdown", (event) => { begun = share(event); this.box.setPointerCapture(event.pointerId); });
    this.box.addEventListener("pointermove", (event) => { if (begun !== null) this.draw(ends(event)); });
    this.box.addEventListener("pointerup", (event) => {
      if (begun === null) return;
      const [low, high] = ends(event);
      begun = null;
      if (high - low < 0.01) { this.draw(); return; }
      this.add(this.kind === "spans" ? [low * this.seconds, high * this.seconds] : [hertzAt(low), hertzAt(high)]);
    });
    this.box.addEventListener("pointercancel", () => { begun = null; this.draw(); });
  }

  typed() {
    const ends = [Number(this.low.value), Number(this.high.value)], most = this.kind === "spans" ? this.seconds : HIGH_HZ;
    if (!(ends[0] < ends[1]) || ends[0] < 0 || ends[1] > most + 1e-6) {
      this.share.textContent = `from must lie below to, both from 0 to ${most.toFixed(this.kind === "spans" ? 1 : 0)}.`;
      return;
    }
    this.add(ends);
  }

  random() {
    this.spans = [];
    this.bands = [];
    const parts = Array.from({ length: 10 }, (_, index) => index).sort(() => Math.random() - 0.5).slice(0, 7).sort((one, other) => one - other);
    for (const part of parts) {
      const [low, high] = [(part * this.seconds) / 10, ((part + 1) * this.seconds) / 10], last = this.spans.at(-1);
      if (last && Math.abs(last[1] - low) < 1e-6) last[1] = high; else this.spans.push([low, high]);
    }
    this.draw();
  }

  add(ends) {
    this[this.kind].push(ends);
    tell(`${this.say(this.kind, ends)} masked`);
    this.draw();
  }

  say(kind, [low, high]) {
    return kind === "spans" ? `${low.toFixed(2)}–${high.toFixed(2)} s` : `${Math.round(low)}–${Math.round(high)} Hz`;
  }

  draw(dragged = null) {
    const rects = [], spans = this.spans.map((ends) => ends.map((value) => value / this.seconds)), bands = this.bands.map((ends) => ends.map(shareOf));
    if (dragged) (this.kind === "spans" ? spans : bands).push(dragged);
    const all = [[0, 1]];
    for (const [left, right] of spans.length || !bands.length ? spans : all) {
      for (const [low, high] of bands.length ? bands : all) {
        rects.push(make("rect", { class: "cut", x: 100 * left, y: 100 * (1 - high), width: 100 * (right - left), height: 100 * (high - low) }));
      }
    }
    this.cuts.replaceChildren(...rects);
    if (dragged) return;
    this.list.replaceChildren(...["spans", "bands"].flatMap((kind) => this[kind].map((ends) => make("li", {}, make("span", {}, this.say(kind, ends)),
      button("×", () => { this[kind] = this[kind].filter((one) => one !== ends); this.draw(); }, { class: "", "aria-label": `Do not mask ${this.say(kind, ends)}` })))));
    this.go.disabled = !spans.length && !bands.length;
    this.share.textContent = this.go.disabled ? "Drag over the picture, or type from and to." : "";
  }

  rebuild() {
    this.results.hidden = false;
    const round = (pairs) => pairs.map((ends) => ends.map((value) => Number(value.toFixed(3))));
    fill(this.results, "Rebuilding …", async () => {
      const made = await post("/api/reconstruct", {
        track_id: this.track.track_id, start_seconds: this.start, spans: this.spans.length ? round(this.spans) : [[0, this.seconds]],
        bands: this.bands.length ? round(this.bands) : null, seed: this.seed,
      });
      const shots = ["original", "masked", "rebuilt"].map((stage) => {
        const key = `shot ${stage} ${this.track.track_id} ${Date.now()}`, title = `${nameOf(this.track)}: ${stage}`;
        return make("figure", {},
          make("div", { class: "shot", "data-shot": key }, make("img", { src: made.pictures[stage], alt: `Mel spectrogram, ${stage}` }), make("div", { class: "now", hidden: true })),
          make("figcaption", {}, button("Play", () => playSound(key, title, made.sounds[stage]), { "data-sound": key, "aria-pressed": "false", "aria-label": `Play the ${stage} clip` }), make("b", {}, stage)));
      });
      queueMicrotask(mark);
      return [make("h3", {}, "What the model made of it"),
        make("p", { class: "soft" }, `${Math.round(100 * made.masked_share)} % of the clip was masked; there the rebuilt picture is ${made.error_db.toFixed(1)} dB off (root mean square). All three sounds are made from their pictures.`),
        make("div", { class: "shots" }, ...shots)];
    });
  }
}
