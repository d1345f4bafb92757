// Requests to the service that sent this page; no other address is ever asked.
const given = new URLSearchParams(location.search).get("token");
if (given) {
  try { sessionStorage.setItem("audiomae-token", given); } catch { /* storage may be off */ }
  history.replaceState(null, "", location.pathname + location.hash);
}
const token = given || stored();

function stored() {
  try { return sessionStorage.getItem("audiomae-token") || ""; } catch { return ""; }
}

async function ask(path, options = {}) {
  const headers = { ...(options.headers || {}), ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The service does not answer. Is audiomae serve still running?");
  }
  if (answer.ok) return answer;
  let line = `The service answered ${answer.status}.`;
  try { line = (await answer.json()).error || line; } catch { /* not JSON */ }
  if (answer.status === 401) line = "This service asks for a token: open the page with ?token=… behind its address.";
  throw Object.assign(new Error(line), { status: answer.status });
}

function query(values) {
  const pairs = Object.entries(values || {}).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(pairs.map(([key, value]) => [key, String(value)])).toString();
  return text ? `?${text}` : "";
}

export const get = async (path, values, options) => (await ask(path + query(values), options)).json();

export const post = async (path, body, options = {}) => (await ask(path, {
  ...options, method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
})).json();

/** Address of a picture or a sound; elements cannot send headers, so the token goes along. */
export const media = (path, values) => path + query({ ...values, token });

export const trackPath = (id, what = "") => `/api/tracks/${encodeURIComponent(id)}${what}`;

/** Ask for a file and hand it to the browser's downloads. */
export async function save(path, body, name) {
  const answer = await ask(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const address = URL.createObjectURL(await answer.blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

function bytes(text) {
  const raw = atob(text), made = new Uint8Array(raw.length);
  for (let index = 0; index < raw.length; index += 1) made[index] = raw.charCodeAt(index);
  return made.buffer;
}

export const floats = (text) => new Float32Array(bytes(text));
export const shorts = (text) => new Uint16Array(bytes(text));
