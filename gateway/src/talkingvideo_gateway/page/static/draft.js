// What somebody is about to ask for, and what becomes of it in the API's words.

const SPEECH_RATE = 15; // characters per second, as espeak-ng and Kokoro read
const REGIONS = [
  { left: 0.06, top: 0.1, width: 0.4, height: 0.8 },
  { left: 0.54, top: 0.1, width: 0.4, height: 0.8 },
];

export const newSpeaker = () => ({ by: "text", text: "", voice: "en-us", sound: null, kept: null });

export const newDraft = () => ({
  picture: null,
  speakers: [newSpeaker()],
  regions: REGIONS,
  arrangement: "",
  shape: "Source",
  resolution: "480p",
  preset: "",
  prompt: "",
  from: null,
});

/** The same again: a draft that keeps picture and sounds of a video until others are chosen. */
export function draftFrom(video) {
  const { speech = {}, video: size = {}, render = {}, prompt = "" } = video.spec;
  const asked = speech.speakers ?? [{}];
  const speakers = asked.map((speaker) => ({
    ...newSpeaker(),
    by: speaker.text === undefined ? "kept" : "text",
    text: speaker.text ?? "",
    voice: speaker.voice ?? "en-us",
    kept: speaker,
  }));
  return {
    ...newDraft(),
    speakers,
    regions: REGIONS.map((region, index) => asked[index]?.region ?? region),
    arrangement: speech.arrangement ?? "",
    shape: size.aspectRatio ?? "Source",
    resolution: size.resolution ?? "480p",
    preset: render.preset ?? "",
    prompt,
    from: { id: video.id, speakers: asked, hasPoster: video.state === "succeeded" },
  };
}

/** Seconds of speech; null where they are not known. */
export function secondsOf(draft) {
  const lengths = draft.speakers.map((speaker) => {
    if (speaker.by === "text") return speaker.text.trim().length / SPEECH_RATE;
    return speaker.by === "kept" ? null : (speaker.sound?.seconds ?? null);
  });
  if (lengths.includes(null)) return null;
  return isSequential(draft) ? lengths.reduce((sum, each) => sum + each, 0) : Math.max(...lengths);
}

export function isSequential(draft) {
  if (draft.speakers.length < 2) return false;
  if (draft.arrangement) return draft.arrangement === "Sequential";
  return draft.speakers.every((speaker) => speaker.by === "text");
}

/** What is missing still, as a sentence; nothing when the video can be made. */
export function missing(draft) {
  if (!draft.picture && !draft.from) return "Choose a picture.";
  const silent = draft.speakers.findIndex((speaker) => !speaks(speaker));
  if (silent < 0) return "";
  const whose = draft.speakers.length > 1 ? ` for speaker ${silent + 1}` : "";
  return draft.speakers[silent].by === "text" ? `Write what is said${whose}.` : `Choose or record a sound${whose}.`;
}

const speaks = (speaker) =>
  speaker.by === "kept" || (speaker.by === "text" ? speaker.text.trim() !== "" : speaker.sound !== null);

/** Fields of the resource, and the files by the form's names for them. A null removes what the video before had. */
export function requestOf(draft) {
  const files = {};
  if (draft.picture) files[draft.picture.kind === "video" ? "video_reference" : "input_reference"] = draft.picture.file;
  const spec = {
    prompt: draft.prompt.trim() || null,
    video: { resolution: draft.resolution, aspectRatio: draft.shape, width: null, height: null },
    render: { preset: draft.preset || null },
  };
  if (!isSpeechKept(draft)) spec.speech = speechOf(draft, files);
  return { spec, files };
}

function speechOf(draft, files) {
  const two = draft.speakers.length > 1;
  const speakers = draft.speakers.map((speaker, index) => ({
    ...saidBy(speaker, index, files),
    ...(two ? { region: rounded(draft.regions[index]) } : {}),
  }));
  return { speakers, turns: null, arrangement: (two && draft.arrangement) || null };
}

function saidBy(speaker, index, files) {
  if (speaker.by === "text") return { text: speaker.text.trim(), voice: speaker.voice };
  if (speaker.by === "kept") return { audio: speaker.kept.audio };
  files[index ? "audio_2" : "audio"] = speaker.sound.file;
  return {};
}

const isSpeechKept = (draft) =>
  draft.from !== null &&
  draft.picture === null &&
  draft.speakers.length === draft.from.speakers.length &&
  draft.speakers.every((speaker) => speaker.by === "kept");

const keys = new WeakMap();

/** The draft's own key: the same as long as nothing is changed in it. */
export function keyOf(draft) {
  if (!keys.has(draft)) keys.set(draft, Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join(""));
  return keys.get(draft);
}

const rounded = (region) =>
  Object.fromEntries(Object.entries(region).map(([key, value]) => [key, Math.floor(value * 1_000) / 1_000]));
