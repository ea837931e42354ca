// How far a video is: one bar whose parts are the chunks, as long as they are.

import { html } from "./vendor/htm-preact.js";

export function Progress({ video }) {
  const { all } = video.chunks;
  return html`
    <div class="bar" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100" aria-valuenow=${video.progress}>
      ${all.length === 0
        ? html`<span class="part"><span class="fill" style=${{ width: `${video.progress}%` }}></span></span>`
        : all.map(
            (chunk) => html`
              <span class="part" style=${{ flexGrow: chunk.frames }} title=${`Chunk ${chunk.index + 1}`}>
                <span class=${`fill ${chunk.status}`} style=${{ width: chunk.status === "finished" ? "100%" : `${chunk.progress}%` }}></span>
              </span>
            `,
          )}
    </div>
  `;
}
