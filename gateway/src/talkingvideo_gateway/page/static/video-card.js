// One video of the list: how it stands, and what can be done with it.

import { html, useRef, useState } from "./vendor/htm-preact.js";
import { cancel, contentUrl, posterUrl, remove, retry } from "./api.js";
import { canPlayEarly, EarlyPlayer } from "./early-player.js";
import { Failure } from "./failure.js";
import { Progress } from "./progress.js";
import { Share } from "./share.js";
import { ago, bytes, clock, happening, remaining, stateWord } from "./words.js";

export function VideoCard({ video, facts, onAgain, onChange, onDeleted }) {
  const [playing, setPlaying] = useState(false);
  const [sharing, setSharing] = useState(false);
  const [sure, setSure] = useState(false);
  const [problem, setProblem] = useState("");
  const under = video.state === "running" || video.state === "queued";

  const doing = (work) => async () => {
    setProblem("");
    try {
      await work();
    } catch (error) {
      setProblem(error.message);
    }
  };
  const drop = doing(async () => {
    await remove(video.id);
    onDeleted(video.id);
  });

  const canWatch = facts.has_parts && video.state === "running" && video.chunks.total > 0 && canPlayEarly();
  const title = titleOf(video);
  return html`
    <article class=${`card ${video.state}`} aria-label=${title}>
      <${Poster} video=${video} playing=${playing} onPlay=${() => setPlaying(true)} />
      <div class="facts">
        <h3>${title}</h3>
        <p class="quiet state">
          <span class="word">${stateWord(video)}</span>
          ${details(video).map((detail) => html`<span>${detail}</span>`)}
        </p>
        ${under && html`<${Progress} video=${video} />`}
        ${under && html`<p class="now"><span>${happening(video)}</span><span class="quiet">${remaining(video)}</span></p>`}
        ${video.error && video.state !== "cancelled" && html`<${Failure} error=${video.error} failures=${facts.failures} />`}
        ${video.warnings.length > 0 && html`<${Warnings} warnings=${video.warnings} />`}
        <div class="actions">
          ${video.state === "succeeded" && html`
            ${!playing && html`<button type="button" class="plain" onClick=${() => setPlaying(true)}>Play</button>`}
            <a class="plain" href=${contentUrl(video.id)} download=${`${title.slice(0, 40)}.mp4`}>Download</a>
            <button type="button" class="plain" aria-expanded=${sharing} onClick=${() => setSharing(!sharing)}>Share</button>`}
          ${canWatch && !playing && html`<button type="button" class="plain" onClick=${() => setPlaying(true)}>Watch what is finished</button>`}
          ${under && html`<button type="button" class="plain" onClick=${doing(async () => onChange(await cancel(video.id)))}>Cancel</button>`}
          ${!under && video.state !== "succeeded" && html`
            <button type="button" class="plain" onClick=${doing(async () => onChange(await retry(video.id)))}>Try again</button>`}
          ${!under && html`<button type="button" class="plain" onClick=${() => onAgain(video)}>Again, with a change</button>`}
          ${!under && (sure
            ? html`<button type="button" class="plain danger" onClick=${drop} onBlur=${() => setSure(false)}>Delete for good?</button>`
            : html`<button type="button" class="plain" onClick=${() => setSure(true)}>Delete</button>`)}
        </div>
        ${sharing && html`<${Share} id=${video.id} />`}
        <p role="alert" class="problem">${problem}</p>
      </div>
    </article>
  `;
}

function Poster({ video, playing, onPlay }) {
  const time = useRef(0); // where the whole video goes on when the early one ends
  if (video.state === "running" && playing) return html`<${EarlyPlayer} id=${video.id} onTime=${(seconds) => (time.current = seconds)} />`;
  if (video.state !== "succeeded") return html`<div class="poster blank" aria-hidden="true"><span class="mark"></span></div>`;
  if (playing) {
    return html`<video class="player" controls autoplay playsinline src=${contentUrl(video.id)} poster=${posterUrl(video.id)}
      onLoadedMetadata=${(event) => (event.target.currentTime = time.current)}></video>`;
  }
  return html`
    <button type="button" class="poster" onClick=${onPlay} aria-label="Play">
      <img src=${posterUrl(video.id)} alt="" loading="lazy" />
      <span class="play" aria-hidden="true"></span>
    </button>
  `;
}

function Warnings({ warnings }) {
  return html`
    <details class="warnings">
      <summary>${warnings.length === 1 ? "One remark" : `${warnings.length} remarks`}</summary>
      <ul>${warnings.map((warning) => html`<li>${warning}</li>`)}</ul>
    </details>
  `;
}

function titleOf({ spec }) {
  const text = spec.speech?.speakers?.map((speaker) => speaker.text).find(Boolean);
  return text ? `“${text.length > 80 ? `${text.slice(0, 79).trimEnd()}…` : text}”` : "Video of a recording";
}

function details(video) {
  const { result } = video;
  if (!result) return [ago(video.created)];
  return [ago(video.created), clock(result.duration_seconds), `${result.width} × ${result.height}`, bytes(result.bytes)];
}
