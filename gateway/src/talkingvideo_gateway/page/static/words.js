// Numbers, times and states in words.

const UNITS = [[86_400, "day"], [3_600, "hour"], [60, "minute"]];

export function bytes(count) {
  if (count < 1_000_000) return `${Math.max(1, Math.round(count / 1_000))} kB`;
  const megabytes = count / 1_000_000;
  return `${megabytes < 10 ? megabytes.toFixed(1) : Math.round(megabytes)} MB`;
}

/** 0:07, 12:30, 1:02:03 */
export function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((part, index) => (index ? String(part).padStart(2, "0") : part)).join(":");
}

/** "about 3 minutes" */
export function about(seconds) {
  if (seconds < 10) return `about ${Math.max(1, Math.round(seconds))} second${seconds < 1.5 ? "" : "s"}`;
  if (seconds < 50) return `about ${Math.round(seconds / 10) * 10} seconds`;
  const [size, unit] = UNITS.find(([length]) => seconds >= length * 0.8) ?? UNITS.at(-1);
  const count = Math.max(1, Math.round(seconds / size));
  return `about ${count === 1 ? (unit === "hour" ? "an hour" : `a ${unit}`) : `${count} ${unit}s`}`;
}

/** "just now", "5 minutes ago" */
export function ago(date, now = Date.now()) {
  const seconds = (now - date) / 1_000;
  if (seconds < 45) return "just now";
  const [size, unit] = UNITS.find(([length]) => seconds >= length) ?? UNITS.at(-1);
  const count = Math.max(1, Math.round(seconds / size));
  return `${count} ${unit}${count === 1 ? "" : "s"} ago`;
}

const STATES = {
  queued: "Waiting",
  running: "Being made",
  succeeded: "Ready",
  failed: "Failed",
  timed_out: "Took too long",
  cancelled: "Cancelled",
};

export const stateWord = (video) => STATES[video.state] ?? video.state;

/** What is happening now, as a sentence. */
export function happening(video) {
  if (video.state === "queued") {
    if (!video.queuePosition) return "Waiting for its turn";
    return video.queuePosition === 1 ? "Next in the queue" : `Number ${video.queuePosition} in the queue`;
  }
  const { total, done, active } = video.chunks;
  switch (video.phase) {
    case "Preparing":
      return "Checking picture and sound";
    case "Rendering": {
      const indices = active.map((chunk) => chunk.index + 1);
      if (!indices.length) return `${done} of ${total} ${total === 1 ? "chunk" : "chunks"} rendered`;
      return `Rendering ${indices.length > 1 ? "chunks" : "chunk"} ${indices.join(", ")} of ${total}`;
    }
    case "Stitching":
      return "Joining the chunks with the sound";
    default:
      return "Starting";
  }
}

/** How long it takes still; nothing that is not known is claimed. */
export function remaining(video, now = Date.now()) {
  if (video.state !== "running") return "";
  if (video.phase === "Stitching") return "almost done";
  if (!video.estimatedCompletion) return "no estimate yet";
  const seconds = (video.estimatedCompletion - now) / 1_000;
  return seconds < 3 ? "any moment" : `${about(seconds)} left`;
}

const FIELDS = [
  [/source/, "the picture"],
  [/speakers\[1\]/, "the second speaker's voice"],
  [/speech/, "the voice"],
  [/prompt/i, "the prompt"],
  [/video/, "the shape"],
  [/render/, "the preset"],
];

/** A field of the resource in the page's words; itself where it has none. */
export const fieldWord = (field) => FIELDS.find(([pattern]) => pattern.test(field))?.[1] ?? field;
