// Plays what is finished of a video while the rest is being made: its parts and its sound, through Media Source Extensions.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { bytesOf, parts } from "./api.js";
import { durationOf, fragment, initialization } from "./fragments.js";
import { readTrack } from "./mp4.js";

const LOOK_AGAIN = 2_000; // milliseconds

const Source = window.ManagedMediaSource ?? window.MediaSource;

/** Whether this browser can. */
export const canPlayEarly = () => Source?.isTypeSupported('video/mp4; codecs="avc1.64001e, mp4a.40.2"') ?? false;

export function EarlyPlayer({ id, onTime }) {
  const element = useRef(null);
  const [problem, setProblem] = useState("");

  useEffect(() => {
    const source = new Source();
    const over = new AbortController();
    const url = URL.createObjectURL(source);
    element.current.disableRemotePlayback = true; // ManagedMediaSource asks for it
    element.current.src = url;
    source.addEventListener("sourceopen", () =>
      play(source, id, over.signal).catch((error) => over.signal.aborted || setProblem(error.message)), { once: true });
    return () => {
      over.abort();
      URL.revokeObjectURL(url);
    };
  }, [id]);

  return html`
    <video ref=${element} class="player" controls autoplay playsinline
      onTimeUpdate=${(event) => onTime(event.target.currentTime)} aria-label="What is finished of the video"></video>
    <p class="problem early" role="alert">${problem}</p>
  `;
}

/** Append what follows the last picture whenever there is more of it. */
async function play(source, id, signal) {
  let found = await parts(id);
  let buffers = null;
  let frames = 0;
  let samples = 0;
  const sound = readTrack(await bytesOf(found.sound, signal));
  while (!signal.aborted && frames < found.frames) {
    const next = found.data.find((part) => part.start_frame === frames);
    if (next) {
      const picture = readTrack(await bytesOf(next.content, signal));
      buffers ??= await opened(source, picture, sound, found.frames / found.frame_rate);
      const start = Math.round((frames * picture.timescale) / found.frame_rate);
      await append(buffers.picture, fragment(picture.samples, start, picture.shift));
      frames += next.frames;
      samples = await appendSound(buffers.sound, sound, samples, frames / found.frame_rate);
    } else {
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN));
      found = await parts(id);
    }
  }
  if (!signal.aborted) source.endOfStream();
}

/** A buffer for each track. All must be there before the first of them is filled. */
async function opened(source, picture, sound, seconds) {
  const buffers = { picture: bufferFor(source, picture), sound: bufferFor(source, sound) };
  source.duration = seconds;
  await append(buffers.picture, initialization(picture));
  await append(buffers.sound, initialization(sound));
  return buffers;
}

const bufferFor = (source, { kind, codec }) => source.addSourceBuffer(`${kind}/mp4; codecs="${codec}"`);

/** The sound from a sample on, up to a time; the first sample that is left. */
async function appendSound(buffer, { samples, timescale, shift }, first, seconds) {
  const start = durationOf(samples.slice(0, first));
  let last = first;
  for (let time = start; last < samples.length && time - shift < seconds * timescale; last += 1) time += samples[last].duration;
  if (last > first) await append(buffer, fragment(samples.slice(first, last), start, shift));
  return last;
}

function append(buffer, content) {
  return new Promise((resolve, reject) => {
    buffer.addEventListener("updateend", resolve, { once: true });
    buffer.addEventListener("error", () => reject(new Error("This browser cannot show the video before it is finished.")), { once: true });
    buffer.appendBuffer(content);
  });
}
