// The fields that a list of songs keeps to, and what of them goes into a request.
import { choice, field, make } from "./dom.js";

const number = (attributes) => make("input", { type: "number", ...attributes });

/** Fields of rules; `values()` returns those that were filled in. */
export function ruleFields(about, { path = false } = {}) {
  const one = {
    k: number({ min: 1, max: 500, value: 12 }), perArtist: number({ min: 1, placeholder: "any" }),
    perAlbum: number({ min: 1, placeholder: "any" }), genre: make("input", { placeholder: "any" }),
    artist: make("input", { placeholder: "any" }), low: number({ min: 0, placeholder: "any" }),
    high: number({ min: 0, placeholder: "any" }), slow: number({ min: 20, max: 400, placeholder: "any" }),
    fast: number({ min: 20, max: 400, placeholder: "any" }), key: make("input", { placeholder: "such as A minor" }),
    least: number({ min: -1, max: 1, step: 0.05, placeholder: "none" }), duplicates: make("input", { type: "checkbox" }),
  };
  const measured = about.columns.includes("tempo") || (about.factors || []).length > 0;
  const words = [["Songs", one.k], ["At most of an artist", one.perArtist], ["At most of an album", one.perAlbum],
    ["Genre", one.genre], ["Artist", one.artist], ["Shortest, s", one.low], ["Longest, s", one.high],
    ...(measured ? [["Slowest, beats/min", one.slow], ["Fastest, beats/min", one.fast], ["Key", one.key]] : []),
    ...(path ? [] : [["Least cosine", one.least]])];
  const box = make("div", { class: "fields" }, ...words.map(([word, input]) => field(word, input)),
    make("label", { class: "tick" }, one.duplicates, "List duplicates too"));
  const given = (input) => (input.value === "" ? null : Number(input.value));
  const span = (low, high, most) => (given(low) === null && given(high) === null ? null : [given(low) ?? 0, given(high) ?? most]);

  function values() {
    const made = { k: given(one.k) || 12, duplicates: one.duplicates.checked };
    const where = {};
    if (one.genre.value.trim()) where.genre = one.genre.value.trim();
    if (one.artist.value.trim()) where.artist = one.artist.value.trim();
    if (Object.keys(where).length) made.where = where;
    const pairs = { per_artist: given(one.perArtist), per_album: given(one.perAlbum), seconds: span(one.low, one.high, 1e6),
      tempo: span(one.slow, one.fast, 400), key: one.key.value.trim() || null, least: given(one.least) };
    for (const [name, value] of Object.entries(pairs)) if (value !== null) made[name] = value;
    return made;
  }
  return { box, values };
}

/** Weights of the ways to sound alike; nothing is asked for while all stand as they were. */
export function factorFields(about) {
  const sliders = (about.factors || []).map((name) => [name, make("input", { type: "range", min: 0, max: 1, step: 0.1, value: name === "learned" ? 1 : 0 })]);
  const box = make("div", { class: "fields" }, ...sliders.map(([name, slider]) => field(name, slider)));
  const started = JSON.stringify(sliders.map(([, slider]) => slider.value));
  const values = () => (JSON.stringify(sliders.map(([, slider]) => slider.value)) === started ? null
    : Object.fromEntries(sliders.map(([name, slider]) => [name, Number(slider.value)])));
  return { box, values, any: sliders.length > 0 };
}

export { choice, number };
