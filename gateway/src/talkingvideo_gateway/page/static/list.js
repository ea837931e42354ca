import { html } from "./vendor/htm-preact.js";
import { VideoCard } from "./video-card.js";

export function VideoList({ videos, reached, facts, onAgain, onChange, onDeleted }) {
  return html`
    <section class="videos" aria-labelledby="videos">
      <h2 id="videos" tabIndex="-1">Videos</h2>
      <p class="problem" role="status">${reached ? "" : "The server does not answer. What is below may be old; trying again …"}</p>
      ${videos === null
        ? reached && html`<p class="quiet">Loading …</p>`
        : videos.length === 0
          ? html`<p class="empty">Nothing here yet. Your videos appear here while they are made, and stay.</p>`
          : html`<ol>
              ${videos.map(
                (video) => html`<li key=${video.id}>
                  <${VideoCard} video=${video} facts=${facts} onAgain=${onAgain} onChange=${onChange} onDeleted=${onDeleted} />
                </li>`,
              )}
            </ol>`}
    </section>
  `;
}
