"use strict";
// The map, the sounds and what is chosen. Titles are only ever set as text, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const songs = data.songs;
const byId = (id) => document.getElementById(id);
const chart = byId("chart"), dots = byId("dots"), tip = byId("tip"), audio = byId("audio");
const state = { colouring: 0, only: null, found: null, chosen: data.query, aim: data.query, playing: null };

function make(name, attributes, ...children) {
  const space = ["svg", "circle", "line", "g"].includes(name) ? "http://www.w3.org/2000/svg" : null;
  const node = space ? document.createElementNS(space, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const credit = (song) => [song.artist || song.folder, clock(song.seconds)].filter(Boolean).join(" · ");

// ---------------------------------------------------------------- sounds

function play(key, name, source) {
  if (!source) return;
  if (state.playing === key && !audio.paused) { audio.pause(); return; }
  if (state.playing !== key) {
    state.playing = key;
    audio.src = `data:audio/mpeg;base64,${source}`;
    byId("playing").textContent = name;
    byId("player").hidden = false;
  }
  audio.play().catch(() => {});
}

function playSong(index) {
  const song = songs[index];
  const from = `${clock(song.from)}–${clock(song.from + 5)}`;
  play(`song ${index}`, `${song.title}${song.artist ? " — " + song.artist : ""}, ${from}`, song.sound);
}

function playShot(stage) {
  play(`shot ${stage}`, `${stage} clip`, data.shots[stage]);
}

function markPlaying() {
  const on = audio.paused ? null : state.playing;
  for (const button of document.querySelectorAll("[data-song]")) {
    const playing = on === `song ${button.dataset.song}`;
    button.setAttribute("aria-pressed", playing);
    const sign = button.querySelector(".sign");
    if (sign) sign.textContent = playing ? "❚❚" : "▶";
  }
  for (const button of document.querySelectorAll("[data-shot]")) {
    button.setAttribute("aria-pressed", on === `shot ${button.dataset.shot}`);
  }
}

function moveHead() {
  for (const shot of document.querySelectorAll(".shot[data-stage]")) {
    const here = !audio.paused && state.playing === `shot ${shot.dataset.stage}` && audio.duration;
    let head = shot.querySelector(".head");
    if (!here) { if (head) head.remove(); continue; }
    if (!head) { head = make("div", { class: "head" }); shot.append(head); }
    head.style.left = `${(100 * audio.currentTime) / audio.duration}%`;
  }
  if (!audio.paused) requestAnimationFrame(moveHead);
}

for (const event of ["play", "pause", "ended"]) {
  audio.addEventListener(event, () => { markPlaying(); moveHead(); });
}
byId("close").addEventListener("click", () => { audio.pause(); byId("player").hidden = true; });
document.addEventListener("click", (event) => {
  const song = event.target.closest("[data-song]"), shot = event.target.closest("[data-shot]");
  if (song) { choose(Number(song.dataset.song)); playSong(Number(song.dataset.song)); }
  if (shot) playShot(shot.dataset.shot);
  const copy = event.target.closest("[data-copy]");
  if (copy) copyLine(copy);
});

function copyLine(button) {
  const line = byId(button.dataset.copy);
  const done = () => { button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy"; }, 1500); };
  const select = () => getSelection().selectAllChildren(line);
  if (navigator.clipboard) navigator.clipboard.writeText(line.textContent).then(done, select);
  else select();
}

// ---------------------------------------------------------------- the map

const circles = songs.map(() => make("circle"));
const lines = make("g");
let places = [], radius = 6;

function layOut() {
  const wide = chart.clientWidth, high = chart.clientHeight, edge = 22;
  radius = songs.length > 1500 ? 3 : songs.length > 400 ? 4.5 : wide < 480 ? 6 : 7;
  dots.setAttribute("viewBox", `0 0 ${wide} ${high}`);
  places = songs.map((song) => [edge + song.x * (wide - 2 * edge), edge + song.y * (high - 2 * edge)]);
  circles.forEach((circle, index) => {
    circle.setAttribute("cx", places[index][0]);
    circle.setAttribute("cy", places[index][1]);
    circle.setAttribute("r", radius);
  });
  draw();
}

function shown(index) {
  if (state.found && !state.found.has(index)) return false;
  return state.only === null || data.colourings[state.colouring].of[index] === state.only;
}

function draw() {
  const near = new Set(songs[state.chosen].near.map((pair) => pair[0]));
  const colouring = data.colourings[state.colouring];
  circles.forEach((circle, index) => {
    const colour = colouring ? colouring.of[index] : 0;  // without artists, genres and folders all are alike
    const classes = [colour < 0 ? "kx" : `k${colour}`];
    if (!shown(index)) classes.push("faint");
    if (near.has(index)) classes.push("near");
    if (index === state.aim && document.activeElement === chart) classes.push("aim");
    if (index === state.chosen) classes.push("chosen");
    circle.setAttribute("class", classes.join(" "));
    circle.setAttribute("r", index === state.chosen ? radius + 3 : radius);
  });
  lines.replaceChildren(...songs[state.chosen].near.map(([other]) => make("line", {
    x1: places[state.chosen][0], y1: places[state.chosen][1], x2: places[other][0], y2: places[other][1],
  })));
}

function nearestTo(x, y, reach) {
  let best = null, least = reach * reach;
  places.forEach(([left, top], index) => {
    const far = (left - x) ** 2 + (top - y) ** 2;
    if (far < least && shown(index)) { best = index; least = far; }
  });
  return best;
}

function at(event, reach) {
  const box = dots.getBoundingClientRect();
  return nearestTo(event.clientX - box.left, event.clientY - box.top, reach);
}

function point(index) {
  tip.hidden = index === null;
  if (index === null) return;
  tip.replaceChildren(make("b", {}, songs[index].title), make("br"), credit(songs[index]));
  const [x, y] = places[index], wide = chart.clientWidth;
  tip.style.left = `${Math.max(4, Math.min(x + 12, wide - tip.offsetWidth - 4))}px`;
  tip.style.top = `${y + 14 + tip.offsetHeight > chart.clientHeight ? y - tip.offsetHeight - 12 : y + 14}px`;
}

function choose(index) {
  state.chosen = state.aim = index;
  draw();
  describe();
  markPlaying();
}

function songButton(index, amount) {
  const song = songs[index];
  const about = `${song.title}, ${credit(song)}${song.sound ? "; play" : "; its sound is not in this page"}`;
  return make("button", { class: "song", type: "button", "data-song": index, "aria-label": about },
    make("span", { class: "sign", "aria-hidden": "true" }, song.sound ? "▶" : "–"),
    make("span", { class: "what" }, song.title, make("small", {}, credit(song))),
    make("span", { class: "amount" }, amount));
}

function describe() {
  const song = songs[state.chosen];
  const list = make("ol", { class: "songs" });
  for (const [other, cosine] of song.near) list.append(make("li", {}, songButton(other, cosine.toFixed(2))));
  byId("chosen").replaceChildren(
    make("div", { class: "big" }, songButton(state.chosen, "")),
    make("p", { class: "soft" }, "Nearest songs, with their cosine (1 is the same direction, 0 unrelated):"), list);
}

chart.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse") point(at(event, 20)); });
chart.addEventListener("pointerleave", () => point(null));
dots.addEventListener("click", (event) => {
  const index = at(event, 26);
  if (index === null) return;
  choose(index);
  point(index);
  playSong(index);
});
chart.addEventListener("focus", () => { draw(); if (chart.matches(":focus-visible")) aimAt(state.aim); });
chart.addEventListener("blur", () => { point(null); draw(); });

function aimAt(index) {
  state.aim = index;
  draw();
  point(index);
  byId("told").textContent = `${songs[index].title}, ${credit(songs[index])}`;
}

const directions = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
chart.addEventListener("keydown", (event) => {
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    choose(state.aim);
    playSong(state.aim);
    return;
  }
  if (event.key === "Escape") { audio.pause(); point(null); return; }
  const way = directions[event.key];
  if (!way) return;
  event.preventDefault();
  const [x, y] = places[state.aim];
  let best = null, least = Infinity;
  places.forEach(([left, top], index) => {
    const along = (left - x) * way[0] + (top - y) * way[1];
    const aside = Math.abs((left - x) * way[1]) + Math.abs((top - y) * way[0]);
    if (index === state.aim || !shown(index) || along <= 0 || aside > 2 * along) return;
    if (along + 2 * aside < least) { best = index; least = along + 2 * aside; }
  });
  if (best !== null) aimAt(best);
});

// ---------------------------------------------------------------- colours and search

function drawLegend() {
  const colouring = data.colourings[state.colouring];
  const entries = !colouring ? [] : colouring.values.map((name, index) => [name, index]);
  if (colouring && colouring.of.includes(-1)) entries.push([colouring.rest, -1]);
  byId("legend").replaceChildren(...entries.map(([name, index]) => {
    const dot = make("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" },
      make("circle", { cx: 5, cy: 5, r: 5, class: index < 0 ? "kx" : `k${index}` }));
    const button = make("button", { type: "button", "aria-pressed": String(state.only === index) },
      dot, make("span", {}, name));
    button.addEventListener("click", () => {
      state.only = state.only === index ? null : index;
      drawLegend();
      draw();
    });
    return make("li", {}, button);
  }));
}

const choice = byId("colouring");
data.colourings.forEach((one, index) => choice.append(make("option", { value: index }, one.name)));
choice.closest("label").hidden = data.colourings.length < 2;
choice.addEventListener("change", () => {
  state.colouring = Number(choice.value);
  state.only = null;
  drawLegend();
  draw();
});
byId("find").addEventListener("input", (event) => {
  const words = event.target.value.trim().toLowerCase();
  const matching = songs.map((song, index) => [`${song.title} ${song.artist} ${song.folder}`.toLowerCase(), index])
    .filter(([text]) => text.includes(words)).map((pair) => pair[1]);
  state.found = words ? new Set(matching) : null;
  byId("found").textContent = words ? `${matching.length} of ${songs.length} songs` : "";
  if (words && matching.length) choose(matching[0]);
  draw();
});

dots.append(lines, ...circles);
new ResizeObserver(layOut).observe(chart);
drawLegend();
layOut();
describe();
markPlaying();
