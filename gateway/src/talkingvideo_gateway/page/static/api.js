// The native API, /v1/videos. Nothing else of this page knows addresses or the wire format.

const VIDEOS = "/v1/videos";
export const EVENTS = "/v1/events";
const PAGE = 100; // most videos of one answer

/** The server refuses a request, for a reason that a person can read. */
export class Refused extends Error {
  constructor(status, body) {
    super(body?.detail ?? body?.error?.message ?? `The server answers with status ${status}.`);
    this.status = status;
    this.field = body?.field ?? null;
  }
}

/** The server cannot be reached. */
export class Unreachable extends Error {}

export const facts = () => call("/page/facts");

export async function signIn(token) {
  await call("/session", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token }) });
}

/** All videos, the newest first. */
export async function list() {
  const videos = [];
  let after = "";
  for (;;) {
    const answer = await call(`${VIDEOS}?order=desc&limit=${PAGE}${after}`);
    videos.push(...answer.data.map(toVideo));
    if (!answer.has_more) return videos;
    after = `&after=${encodeURIComponent(answer.last_id)}`;
  }
}

/**
 * Make a video, or with `from` a video's id: make that one again with changes. The same key makes one video, however often it
 * is sent. Reports the share of the upload that has arrived.
 */
export async function create({ spec, files }, { from, key, onSent }) {
  const form = new FormData();
  form.set("talkingvideo", JSON.stringify(spec));
  for (const [name, file] of Object.entries(files)) form.set(name, file, file.name);
  return toVideo(await upload(from ? `${at(from)}/remix` : VIDEOS, form, key, onSent));
}

export const get = async (id) => toVideo(await call(at(id)));
export const cancel = async (id) => toVideo(await call(`${at(id)}/cancel`, { method: "POST" }));
export const retry = async (id) => toVideo(await call(`${at(id)}/retry`, { method: "POST" }));
export const remove = (id) => call(at(id), { method: "DELETE" });
export const link = (id) => call(`${at(id)}/link`, { method: "POST" });

export const parts = (id) => call(`${at(id)}/parts`);

export async function bytesOf(path, signal) {
  const response = await fetch(path, { credentials: "same-origin", signal });
  if (!response.ok) throw new Refused(response.status, null);
  return response.arrayBuffer();
}

export const contentUrl = (id) => `${at(id)}/content`;
export const posterUrl = (id) => `${at(id)}/content?variant=thumbnail`;

/** A video as the page knows it, from the API's form. */
export function toVideo(answer) {
  const ours = answer.talkingvideo ?? {};
  return {
    id: answer.id,
    created: answer.created_at * 1_000,
    completed: answer.completed_at && answer.completed_at * 1_000,
    state: stateOf(answer),
    phase: ours.phase ?? "",
    progress: answer.progress ?? 0,
    queuePosition: ours.queue_position ?? null,
    estimatedCompletion: ours.estimated_completion ? Date.parse(ours.estimated_completion) : null,
    chunks: chunksOf(ours.chunks),
    warnings: ours.warnings ?? [],
    error: answer.error && { field: null, ...answer.error, ...ours.failure },
    result: ours.result ?? null,
    spec: ours.spec ?? {},
  };
}

const at = (id) => `${VIDEOS}/${encodeURIComponent(id)}`;

function stateOf(answer) {
  const code = answer.error?.code;
  if (code === "cancelled") return "cancelled";
  if (code === "timeout") return "timed_out";
  return { queued: "queued", in_progress: "running", completed: "succeeded", failed: "failed" }[answer.status];
}

function chunksOf(chunks) {
  const all = chunks ?? [];
  return {
    all,
    total: all.length,
    done: all.filter((chunk) => chunk.status === "finished").length,
    active: all.filter((chunk) => chunk.status === "rendering"),
  };
}

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", headers: { Accept: "application/json" }, ...options });
  } catch {
    throw new Unreachable("The server does not answer.");
  }
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new Refused(response.status, body);
  return body;
}

/** fetch does not tell how much of a body has been sent. */
function upload(path, form, key, onSent) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "json";
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Idempotency-Key", key);
    request.upload.onprogress = ({ loaded, total }) => onSent(total ? loaded / total : 0);
    request.onerror = () => reject(new Unreachable("The server does not answer. Try again: no video is made twice."));
    request.onload = () =>
      request.status < 300 ? resolve(request.response) : reject(new Refused(request.status, request.response));
    request.send(form);
  });
}
