// One player for the whole page: a song's own file from a place, its mel beside it, and a queue.
import { media, trackPath } from "./api.js";
import { byId, clock, tell } from "./dom.js";

const audio = byId("audio"), bar = byId("player"), mel = byId("mel"), head = byId("head");
const STRIP_SECONDS = 15;
const state = { key: null, track: null, from: 0, decoded: false, queue: [], at: 0, whole: false, strip: null };

function show(title, about) {
  byId("playing-title").textContent = title;
  byId("playing-about").textContent = about;
  bar.hidden = false;
}

export const nameOf = (track) => track.title || (track.path || "").split("/").pop() || track.track_id;

/** Play a song from a moment; without one, from its middle. The same song again pauses it. */
export function playTrack(track, from = null, { whole = false } = {}) {
  const key = `track ${track.track_id} ${from ?? ""}`;
  if (state.key === key && !audio.paused) { audio.pause(); return; }
  if (state.key === key && !audio.error) { bar.hidden = false; audio.play().catch(() => {}); return; }
  if (!whole) { state.queue = []; }
  const start = from ?? (whole ? 0 : Math.max(0, (track.seconds || 0) / 2 - 5));
  Object.assign(state, { key, track, from: start, decoded: false, whole, strip: null });
  audio.src = media(trackPath(track.track_id, "/audio"));
  show(nameOf(track), [track.artist, `from ${clock(start)}`].filter(Boolean).join(" · "));
  showMel(start);
  audio.play().catch(() => {});
  markQueue();
}

/** Play a short sound that is at hand, such as a rebuilt clip. */
export function playSound(key, title, address) {
  if (state.key === key && !audio.paused) { audio.pause(); return; }
  if (state.key !== key) {
    Object.assign(state, { key, track: null, queue: [], strip: null });
    audio.src = address;
    mel.hidden = head.hidden = true;
    show(title, "");
    markQueue();
  }
  bar.hidden = false;
  audio.play().catch(() => {});
}

/** Play songs one after another. */
export function playThrough(tracks) {
  state.queue = tracks.slice();
  go(0);
}

function go(place) {
  if (place < 0 || place >= state.queue.length) return;
  state.at = place;
  state.key = null;
  playTrack(state.queue[place], 0, { whole: true });
}

function markQueue() {
  byId("previous").hidden = byId("next").hidden = state.queue.length < 2;
  byId("previous").disabled = state.at === 0;
  byId("next").disabled = state.at >= state.queue.length - 1;
}

function showMel(from) {
  if (!state.track) return;
  const first = Math.max(0, from - 2);
  state.strip = first;
  mel.hidden = false;
  mel.alt = `Mel spectrogram of ${nameOf(state.track)}, from ${clock(first)}`;
  mel.src = media(trackPath(state.track.track_id, "/mel.png"), { start: first.toFixed(2), seconds: STRIP_SECONDS });
}

mel.addEventListener("error", () => { mel.hidden = true; });

audio.addEventListener("error", () => {
  if (!state.track) return;
  if (state.decoded) {
    show(nameOf(state.track), "its sound cannot be played here: the file is not there or cannot be read");
    tell("This song cannot be played.");
    head.hidden = true;
    return;
  }
  // A format that this browser does not play: the service decodes a minute of it.
  state.decoded = true;
  audio.src = media(trackPath(state.track.track_id, "/audio"), { as: "wav", start: state.from.toFixed(2), seconds: 60 });
  audio.play().catch(() => {});
});

audio.addEventListener("loadedmetadata", () => {
  if (state.track && !state.decoded && state.from) audio.currentTime = state.from;
});
audio.addEventListener("ended", () => { if (state.whole) go(state.at + 1); });
byId("next").addEventListener("click", () => go(state.at + 1));
byId("previous").addEventListener("click", () => go(state.at - 1));
byId("close").addEventListener("click", () => { audio.pause(); bar.hidden = true; mark(); });

/** Show on every button whether its song or sound plays. */
export function mark() {
  const on = audio.paused || bar.hidden ? null : state.key;
  for (const node of document.querySelectorAll("[data-track], [data-sound]")) {
    const playing = node.dataset.sound ? on === node.dataset.sound
      : Boolean(on && state.track && state.track.track_id === node.dataset.track);
    node.setAttribute("aria-pressed", String(playing));
    const sign = node.querySelector(".sign");
    if (sign) sign.textContent = playing ? "❚❚" : "▶";
  }
}

function move() {
  const here = audio.currentTime + (state.decoded ? state.from : 0);
  if (state.track && state.strip !== null) {
    if (here > state.strip + STRIP_SECONDS || here < state.strip) showMel(here);
    head.hidden = mel.hidden;
    head.style.left = `${(100 * (here - state.strip)) / STRIP_SECONDS}%`;
  } else if (state.key) {
    for (const line of document.querySelectorAll(".shot .now")) {
      line.hidden = line.parentNode.dataset.shot !== state.key || !audio.duration;
      line.style.left = `${(100 * audio.currentTime) / (audio.duration || 1)}%`;
    }
  }
  if (!audio.paused) requestAnimationFrame(move);
}
for (const event of ["play", "pause", "ended"]) audio.addEventListener(event, () => { mark(); move(); });
audio.addEventListener("seeked", move);
