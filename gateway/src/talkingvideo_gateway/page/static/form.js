// The form: a picture, a voice, a shape, and the rest behind "More".

import { html, useState } from "./vendor/htm-preact.js";
import { create } from "./api.js";
import { isSequential, keyOf, missing, newDraft, newSpeaker, requestOf, secondsOf } from "./draft.js";
import { PictureField } from "./picture-field.js";
import { ShapeField } from "./shape-field.js";
import { VoiceField } from "./voice-field.js";
import { about, fieldWord } from "./words.js";

const PRESETS = { "": "As the service is set up", quality: "Best quality", fast: "Fast", turbo: "Fastest" };

export function VideoForm({ draft, setDraft, facts, onMade }) {
  const [sent, setSent] = useState(null); // share of the upload that has arrived, while it is under way
  const [problem, setProblem] = useState("");
  const change = (changes) => setDraft((before) => ({ ...before, ...changes }));
  const changeSpeaker = (index, changes) =>
    setDraft((before) => ({ ...before, speakers: before.speakers.map((it, at) => (at === index ? { ...it, ...changes } : it)) }));

  const submit = async (event) => {
    event.preventDefault();
    const reason = missing(draft);
    setProblem(reason);
    if (reason) return;
    setSent(0);
    try {
      onMade(await create(requestOf(draft), { from: draft.from?.id, key: keyOf(draft), onSent: setSent }));
      setDraft(newDraft());
      document.getElementById("videos").focus();
    } catch (error) {
      setProblem(error.field ? `${error.message} (${fieldWord(error.field)})` : error.message);
    } finally {
      setSent(null);
    }
  };

  return html`
    <form onSubmit=${submit} aria-labelledby="form-title" noValidate>
      <h1 id="form-title" tabIndex="-1">${draft.from ? "Once more, with a change" : "Make a picture speak"}</h1>
      <p class="lead">
        ${draft.from
          ? html`Change what you like; what you leave is used again.
              <button type="button" class="plain" onClick=${() => setDraft(newDraft())}>Start afresh</button>`
          : "A portrait and a voice go in. A lip-synced video comes out."}
      </p>

      <${PictureField} draft=${draft} onChange=${change} limit=${facts.limits.picture_bytes} />
      <${ShapeField} shapes=${facts.shapes} shape=${draft.shape} picture=${draft.picture} onChange=${(shape) => change({ shape })} />
      ${draft.speakers.map(
        (speaker, index) => html`
          <${VoiceField} key=${index} index=${index} of=${draft.speakers.length} speaker=${speaker}
            limit=${facts.limits.sound_bytes} onChange=${(changes) => changeSpeaker(index, changes)}
            onRemove=${() => change({ speakers: draft.speakers.slice(0, 1) })} />
        `,
      )}
      ${draft.speakers.length === 1
        ? html`<button type="button" class="plain add" onClick=${() => change({ speakers: [...draft.speakers, newSpeaker()] })}>
            + Add a second speaker
          </button>`
        : html`<${Arrangement} draft=${draft} onChange=${change} />`}
      <${More} draft=${draft} facts=${facts} onChange=${change} />

      <div class="submit">
        <button type="submit" aria-busy=${sent === null ? null : "true"} disabled=${sent !== null}>
          ${sent === null ? "Make the video" : sent < 1 ? `Uploading … ${Math.round(sent * 100)} %` : "Starting …"}
        </button>
        <${Heard} draft=${draft} />
      </div>
      <p role="alert" class="problem">${problem}</p>
    </form>
  `;
}

function Heard({ draft }) {
  const seconds = secondsOf(draft);
  return html`<p class="quiet" role="status">${seconds ? `The video will be ${about(seconds)} long.` : ""}</p>`;
}

function Arrangement({ draft, onChange }) {
  const choose = (event) => onChange({ arrangement: event.target.value });
  const chosen = isSequential(draft) ? "Sequential" : "Parallel";
  return html`
    <fieldset class="choice">
      <legend>When they speak</legend>
      <div class="segments">
        ${[["Sequential", "One after the other"], ["Parallel", "At the same time"]].map(
          ([value, text]) => html`
            <label><input type="radio" name="arrangement" value=${value} checked=${chosen === value} onChange=${choose} /><span>${text}</span></label>
          `,
        )}
      </div>
    </fieldset>
  `;
}

function More({ draft, facts, onChange }) {
  return html`
    <details class="more">
      <summary>More</summary>
      <div class="pair">
        <label>
          Preset
          <select value=${draft.preset} onChange=${(event) => onChange({ preset: event.target.value })}>
            ${["", ...facts.presets].map((preset) => html`<option value=${preset}>${PRESETS[preset] ?? preset}</option>`)}
          </select>
        </label>
        <label>
          Resolution
          <select value=${draft.resolution} onChange=${(event) => onChange({ resolution: event.target.value })}>
            ${facts.resolutions.map((resolution) => html`<option value=${resolution}>${resolution}</option>`)}
          </select>
        </label>
      </div>
      <label>
        Prompt
        <textarea rows="2" maxlength="4000" value=${draft.prompt} placeholder="A person speaks to the camera, calm and friendly."
          onInput=${(event) => onChange({ prompt: event.target.value })}></textarea>
      </label>
    </details>
  `;
}
