// Which view is shown, and what is served.
import { get } from "./api.js";
import { byId, fault } from "./dom.js";
import { LikeView } from "./like.js";
import { MapView } from "./map.js";
import { RebuildView } from "./rebuild.js";
import { RecommendView } from "./recommend.js";
import { RunsView } from "./runs.js";

const VIEWS = { map: MapView, like: LikeView, rebuild: RebuildView, recommend: RecommendView, runs: RunsView };
const made = {};
let about = null;

function show() {
  const wanted = location.hash.slice(1);
  if (wanted === "content") return;
  const name = VIEWS[wanted] ? wanted : "map";
  for (const other of Object.keys(VIEWS)) byId(`view-${other}`).hidden = other !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  document.title = `${byId(`title-${name}`).textContent} – audiomae`;
  if (about && !made[name]) made[name] = new VIEWS[name](about);
}

async function open() {
  show();
  try {
    about = await get("/api/about");
  } catch (error) {
    byId("fault").replaceChildren(fault(error));
    byId("fault").hidden = false;
    byId("summary").textContent = "";
    return;
  }
  summarise();
  show();
  setInterval(follow, 10_000);
}

function summarise() {
  const songs = about.tracks.toLocaleString("en");
  byId("summary").textContent = [`${songs} songs`, `vectors of ${about.dim} values`, about.model ? `model ${about.model}` : "no model open",
    `audiomae ${about.version}`].join(" · ");
}

/** Songs may come and go while the page is open: the map is asked for again. */
async function follow() {
  if (document.hidden) return;
  try {
    const now = await get("/api/about");
    if (now.generation === about.generation) return;
    Object.assign(about, now);
    summarise();
    if (made.map) await made.map.load();
  } catch { /* the next look may succeed */ }
}

addEventListener("hashchange", show);
open();
