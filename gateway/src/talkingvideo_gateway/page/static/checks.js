// Looks at a picture or sound before it is uploaded: what it is, whether it can be decoded, how large and how long it is.

import { bytes } from "./words.js";

/** A file cannot be used, for a reason that the person who chose it can read. */
export class Unusable extends Error {}

const LONGEST_SECONDS = 7_200;
const DECODED_WHOLE = 15_000_000; // bytes; a longer sound would fill the memory when it is decoded
const RATE = 8_000;
const PEAKS = 160;
const SILENCE = 0.003;

/** Picture or video to dub. {file, kind: "image" | "video", url, width, height, seconds?} */
export async function checkPicture(file, limit) {
  checkSize(file, limit, "The picture");
  const kind = await pictureKind(file);
  if (!kind) throw new Unusable(`${file.name} is neither a picture (PNG, JPEG, WebP) nor a video.`);
  const url = URL.createObjectURL(file);
  const size = kind === "image" ? await imageSize(file) : await videoSize(url, file);
  if (Math.min(size.width, size.height) < 64) {
    throw new Unusable(`It is ${size.width} × ${size.height} pixels: choose one with at least 64 on each side.`);
  }
  return { file, kind, url, ...size };
}

/** Recording. {file, url, seconds, peaks} */
export async function checkSound(file, limit) {
  checkSize(file, limit, "The sound");
  const url = URL.createObjectURL(file);
  const { seconds, peaks } = file.size > DECODED_WHOLE ? await soundLength(url, file) : await decoded(file);
  if (seconds < 0.04) throw new Unusable(`${file.name} has no sound.`);
  if (seconds > LONGEST_SECONDS) throw new Unusable("It is longer than two hours. Cut it, and choose it again.");
  if (peaks && Math.max(...peaks) < SILENCE) throw new Unusable(`Nothing can be heard in ${file.name}.`);
  return { file, url, seconds, peaks };
}

function checkSize(file, limit, what) {
  if (!file.size) throw new Unusable(`${file.name} is empty.`);
  if (file.size > limit) throw new Unusable(`${what} has ${bytes(file.size)}; at most ${bytes(limit)} are allowed here.`);
}

async function pictureKind(file) {
  const head = new Uint8Array(await file.slice(0, 16).arrayBuffer());
  const text = String.fromCharCode(...head);
  if (text.startsWith("\x89PNG") || text.startsWith("\xff\xd8\xff") || text.slice(8, 12) === "WEBP") return "image";
  if (text.slice(4, 8) === "ftyp" || text.startsWith("\x1a\x45\xdf\xa3")) return "video";
  return null;
}

async function imageSize(file) {
  try {
    const { width, height } = await createImageBitmap(file);
    return { width, height };
  } catch {
    throw new Unusable(`${file.name} is damaged: it cannot be decoded. Save it again as PNG or JPEG.`);
  }
}

async function videoSize(url, file) {
  const video = await loaded("video", url, file);
  if (!video.videoWidth) throw new Unusable(`${file.name} has no picture.`);
  return { width: video.videoWidth, height: video.videoHeight, seconds: video.duration };
}

async function soundLength(url, file) {
  const audio = await loaded("audio", url, file);
  return { seconds: audio.duration, peaks: null };
}

function loaded(kind, url, file) {
  return new Promise((resolve, reject) => {
    const element = document.createElement(kind);
    element.preload = "metadata";
    element.onloadedmetadata = () => resolve(element);
    element.onerror = () => reject(new Unusable(`${file.name} cannot be decoded here. Save it as MP3, WAV or MP4.`));
    element.src = url;
  });
}

async function decoded(file) {
  let sound;
  try {
    sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Unusable(`${file.name} is no sound that can be decoded. MP3, WAV, M4A, OGG, FLAC and WebM work.`);
  }
  return { seconds: sound.duration, peaks: peaksOf(sound.getChannelData(0)) };
}

function peaksOf(samples) {
  const step = Math.max(1, samples.length / PEAKS);
  return Array.from({ length: Math.min(PEAKS, samples.length) }, (_, index) => {
    let peak = 0;
    for (let at = Math.floor(index * step); at < (index + 1) * step && at < samples.length; at += 1) {
      peak = Math.max(peak, Math.abs(samples[at]));
    }
    return peak;
  });
}
