// What one speaker says: a text that is read, a recording that is made here, or a file.

import { html, useState } from "./vendor/htm-preact.js";
import { checkSound, Unusable } from "./checks.js";
import { DropZone } from "./drop-zone.js";
import { Recorder } from "./recorder.js";
import { VOICES } from "./voices.js";
import { Waveform } from "./waveform.js";
import { bytes, clock } from "./words.js";

const WAYS = [["text", "Write"], ["record", "Record"], ["file", "File"]];
const LONGEST_TEXT = 50_000;

export function VoiceField({ index, of, speaker, limit, onChange, onRemove }) {
  const [problem, setProblem] = useState("");
  const ways = speaker.kept?.audio ? [["kept", "As before"], ...WAYS] : WAYS;

  const take = async (file) => {
    setProblem("");
    try {
      onChange({ sound: await checkSound(file, limit) });
    } catch (error) {
      if (!(error instanceof Unusable)) throw error;
      setProblem(error.message);
    }
  };
  const choose = (by) => {
    setProblem("");
    onChange({ by, sound: null });
  };

  const problemId = `voice-problem-${index}`;
  return html`
    <fieldset class="voice">
      <legend>${of > 1 ? html`<span class=${`dot of-${index}`}></span>Voice of speaker ${index + 1}` : "Voice"}</legend>
      <div class="segments">
        ${ways.map(
          ([by, text]) => html`
            <label>
              <input type="radio" name=${`voice-by-${index}`} value=${by} checked=${speaker.by === by} onChange=${() => choose(by)} />
              <span>${text}</span>
            </label>
          `,
        )}
      </div>
      ${speaker.by === "text" && html`<${Text} index=${index} speaker=${speaker} onChange=${onChange} />`}
      ${speaker.by === "kept" && html`<p class="quiet">The same voice as before.</p>`}
      ${speaker.by === "record" && html`<${Recorder} again=${speaker.sound !== null} onFile=${take} onProblem=${setProblem} />`}
      ${speaker.by === "file" && !speaker.sound && html`<${DropZone} id=${`sound-${index}`} accept="audio/*,video/*" onFile=${take}
        describedBy=${problemId} label=${html`Drop a sound here, or <u>choose one</u>`} hint=${`MP3, WAV, M4A, OGG, FLAC … up to ${bytes(limit)}.`} />`}
      ${speaker.sound && html`<${Sound} sound=${speaker.sound} onClear=${() => onChange({ sound: null })} />`}
      <p id=${problemId} role="alert" class="problem">${problem}</p>
      ${index > 0 && html`<button type="button" class="plain add" onClick=${onRemove}>Remove this speaker</button>`}
    </fieldset>
  `;
}

function Text({ index, speaker, onChange }) {
  return html`
    <label class="unlabelled">
      <span class="unseen">What is said</span>
      <textarea id=${`text-${index}`} rows="3" maxlength=${LONGEST_TEXT} value=${speaker.text} placeholder="Hello! Nobody had to record this."
        onInput=${(event) => onChange({ text: event.target.value })}></textarea>
    </label>
    <label class="inline">
      <span>Read by</span>
      <select value=${speaker.voice} onChange=${(event) => onChange({ voice: event.target.value })}>
        ${VOICES.map(([group, voices]) => html`
          <optgroup label=${group}>${voices.map(([voice, text]) => html`<option value=${voice}>${text}</option>`)}</optgroup>
        `)}
      </select>
    </label>
  `;
}

function Sound({ sound, onClear }) {
  return html`
    <div class="sound">
      ${sound.peaks && html`<${Waveform} peaks=${sound.peaks} />`}
      <audio controls src=${sound.url} aria-label="What will be heard"></audio>
      <p class="quiet">
        ${sound.file.name} · ${clock(sound.seconds)} · ${bytes(sound.file.size)}
        <button type="button" class="plain" onClick=${onClear}>Remove</button>
      </p>
    </div>
  `;
}
