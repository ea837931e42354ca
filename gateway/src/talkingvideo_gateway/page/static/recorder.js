// Records a voice with the browser's own recorder.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { clock } from "./words.js";

const TYPES = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];
const ENDINGS = { "audio/webm": "webm", "audio/mp4": "m4a", "audio/ogg": "ogg" };

export function Recorder({ again, onFile, onProblem }) {
  const [since, setSince] = useState(null);
  const [seconds, setSeconds] = useState(0);
  const recorder = useRef(null);

  useEffect(() => {
    if (since === null) return undefined;
    const timer = setInterval(() => setSeconds((Date.now() - since) / 1_000), 250);
    return () => clearInterval(timer);
  }, [since]);
  useEffect(() => () => stop(recorder.current), []);

  const start = async () => {
    onProblem("");
    try {
      recorder.current = await recording((file) => {
        setSince(null);
        onFile(file);
      });
      setSeconds(0);
      setSince(Date.now());
    } catch {
      onProblem("The microphone cannot be used. Allow it in the browser's settings, or choose a file.");
    }
  };

  return html`
    <div class="recorder">
      ${since === null
        ? html`<button type="button" class="secondary" onClick=${start}><span class="record-dot" aria-hidden="true"></span>${again ? "Record again" : "Record"}</button>`
        : html`<button type="button" class="secondary live" onClick=${() => stop(recorder.current)}>Stop</button>
            <span role="timer" aria-label="Recorded so far">${clock(seconds)}</span>`}
    </div>
  `;
}

/** Starts; the file is handed over when it is stopped. */
async function recording(onFile) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: true } });
  const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
  const recorder = new MediaRecorder(stream, { mimeType });
  const pieces = [];
  recorder.ondataavailable = (event) => pieces.push(event.data);
  recorder.onstop = () => {
    stream.getTracks().forEach((track) => track.stop());
    const type = recorder.mimeType.split(";")[0];
    onFile(new File(pieces, `recording.${ENDINGS[type] ?? "webm"}`, { type }));
  };
  recorder.start();
  return recorder;
}

function stop(recorder) {
  if (recorder?.state === "recording") recorder.stop();
}
