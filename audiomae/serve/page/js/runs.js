// The view "Runs": how training went.
import { get, media } from "./api.js";
import { byId, choice, empty, field, fill, make } from "./dom.js";
import { plot } from "./plot.js";

export class RunsView {
  constructor(about) {
    const place = byId("view-runs");
    this.results = make("div");
    this.picker = make("div", { class: "tools" });
    place.append(make("p", { class: "soft" }, "Loss while training, what the model rebuilds as it learns, and how its vectors score."), this.picker, this.results);
    fill(this.results, "Looking for runs …", async () => {
      const answer = await get("/api/runs"), runs = (answer.runs || answer).map((run) => (typeof run === "string" ? run : run.name));
      if (!runs.length) return empty("No run is open.", make("p", {}, "Start ", make("code", {}, "audiomae serve … --runs FOLDER"), " with folders that audiomae pretrain made."));
      this.picker.append(field("Run", choice(runs.map((name) => [name, name]), runs[0], (name) => this.open(name))));
      queueMicrotask(() => this.open(runs[0]));
      return [];
    });
    this.about = about;
  }

  open(name) {
    fill(this.results, "Reading …", async () => {
      const run = await get(`/api/runs/${encodeURIComponent(name)}`);
      const held = run.held_out || [], probe = run.probe || [];
      const losses = [{ name: "training loss", points: series(run.metrics, "loss") },
        { name: "held-out loss", points: series(held.length ? held : run.metrics, "held_out_loss", "loss") }];
      const made = [make("div", { class: "card" }, plot(losses, { title: "Loss" }))];
      const rows = probe.map(scoresOf), stepped = rows.filter((row) => Number.isFinite(row.step));
      const scores = stepped.length ? namesOf(stepped).map((score) => ({ name: score.replaceAll("_", " "), points: series(stepped, score) })) : [];
      made.push(make("div", { class: "card" }, scores.length ? plot(scores, { title: "Probe scores" }) : scoreTable(rows)));
      made.push(make("div", { class: "card film" }, make("h3", {}, "Reconstructions over time"), film(run.pictures || [], name)));
      return made;
    });
  }
}

function series(rows, ...names) {
  return (rows || []).map((row) => [row.step, names.map((name) => row[name]).find((value) => typeof value === "number")])
    .filter(([step, value]) => Number.isFinite(step) && Number.isFinite(value));
}

function namesOf(rows) {
  const names = new Set();
  for (const row of rows) for (const [name, value] of Object.entries(row)) if (name !== "step" && typeof value === "number") names.add(name);
  return [...names];
}

/** One file of probe scores as a flat row: its step where its name says one, and a number a question. */
function scoresOf(probe) {
  const row = { step: probe.step, name: probe.name };
  for (const [task, found] of Object.entries(probe.tasks || {})) {
    for (const [kind, measures] of Object.entries(found.scores || {})) {
      for (const [measure, score] of Object.entries(measures)) {
        if (score && typeof score.score === "number") row[`${task}: ${measure}, ${kind}`] = score.score;
      }
    }
  }
  return row;
}

function scoreTable(rows) {
  const told = rows.map((row) => Object.entries(row).filter(([name, value]) => name !== "step" && typeof value === "number")).flat();
  if (!told.length) return make("p", { class: "soft" }, "No probe scores lie in this run. audiomae probe RUN … --out RUN/probe-STEP.json leaves some.");
  return make("div", { class: "over", tabindex: 0, role: "region", "aria-label": "Probe scores" }, make("h3", {}, "Probe scores"), make("table", {},
    make("tbody", {}, ...told.map(([name, value]) => make("tr", {}, make("th", { scope: "row" }, name.replaceAll("_", " ")), make("td", {}, value.toFixed(3)))))));
}

/** Pictures by step, one at a time. */
function film(pictures, run) {
  if (!pictures.length) return make("p", { class: "soft" }, "This run has kept no pictures.");
  const address = (one) => media(typeof one === "string" ? one : one.url), image = make("img", {}), said = make("span", { class: "soft", role: "status" });
  const slider = make("input", { type: "range", min: 0, max: pictures.length - 1, value: pictures.length - 1 });
  const show = () => {
    const one = pictures[Number(slider.value)], name = typeof one === "string" ? one.split("/").pop().split("?")[0] : `step ${one.step}`;
    image.src = address(one);
    image.alt = `${run}: original, masked and rebuilt, ${name}`;
    said.textContent = name;
  };
  slider.addEventListener("input", show);
  show();
  return make("div", {}, make("div", { class: "tools" }, field("Moment", slider), said), image);
}
