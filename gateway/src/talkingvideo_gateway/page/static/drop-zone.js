// Takes a file that is dropped, chosen or pasted.

import { html, useRef, useState } from "./vendor/htm-preact.js";

export function DropZone({ id, accept, label, hint, large, describedBy, onFile }) {
  const [over, setOver] = useState(false);
  const depth = useRef(0);

  const enter = (by) => {
    depth.current += by;
    setOver(depth.current > 0);
  };
  const drop = (event) => {
    event.preventDefault();
    depth.current = 0;
    setOver(false);
    take(event.dataTransfer.files);
  };
  const take = (files) => files.length && onFile(files[0]);

  return html`
    <label class=${`drop ${large ? "large" : ""} ${over ? "over" : ""}`}
      onDragEnter=${() => enter(1)} onDragLeave=${() => enter(-1)} onDragOver=${(event) => event.preventDefault()}
      onDrop=${drop} onPaste=${(event) => take(event.clipboardData.files)}>
      <input id=${id} type="file" class="unseen" accept=${accept} aria-describedby=${describedBy}
        onChange=${(event) => take(event.target.files)} />
      <span class="drop-label">${label}</span>
      <span class="quiet">${hint}</span>
    </label>
  `;
}
