// An address at which anybody can watch a video for a while.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { link } from "./api.js";
import { about } from "./words.js";

export function Share({ id }) {
  const [found, setFound] = useState(null);
  const [said, setSaid] = useState("");
  const field = useRef(null);

  useEffect(() => {
    link(id).then(setFound, (error) => setSaid(error.message));
  }, [id]);

  const copy = async () => {
    field.current.select();
    try {
      await navigator.clipboard.writeText(found.url);
      setSaid("Copied.");
    } catch {
      setSaid("Copy the selected address.");
    }
  };

  const lasts = found?.expires_at ? (found.expires_at * 1_000 - Date.now()) / 1_000 : null;
  return html`
    <div class="share">
      ${found && html`
        <label>
          <span>Whoever has this address can watch the video${lasts ? ` for ${about(lasts)}` : " for a while"}.</span>
          <input ref=${field} type="text" readonly value=${found.url} onFocus=${(event) => event.target.select()} />
        </label>
        <button type="button" class="secondary" onClick=${copy}>Copy</button>`}
      <p class="quiet" role="status">${said}</p>
    </div>
  `;
}
