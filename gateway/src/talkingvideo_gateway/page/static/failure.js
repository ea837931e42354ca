// Why a video failed, and what to do: the failure's own words, then the table's.

import { html } from "./vendor/htm-preact.js";
import { fieldWord } from "./words.js";

export function Failure({ error, failures }) {
  const kind = failures[error.code];
  return html`
    <div class="failure">
      <p>${error.message}</p>
      ${error.field && html`<p class="quiet">It is about ${fieldWord(error.field)}.</p>`}
      ${kind && html`<p class="remedy">${kind.remedy}</p>`}
    </div>
  `;
}
