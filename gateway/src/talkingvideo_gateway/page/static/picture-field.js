// The picture: chosen, checked, and shown as it will be cut.

import { html, useState } from "./vendor/htm-preact.js";
import { posterUrl } from "./api.js";
import { checkPicture, Unusable } from "./checks.js";
import { cropFor } from "./crop.js";
import { DropZone } from "./drop-zone.js";
import { Regions } from "./regions.js";
import { bytes, clock } from "./words.js";

const ACCEPT = "image/png,image/jpeg,image/webp,video/mp4,video/webm,video/quicktime";

export function PictureField({ draft, onChange, limit }) {
  const [problem, setProblem] = useState("");
  const [checking, setChecking] = useState(false);

  const take = async (file) => {
    setProblem("");
    setChecking(true);
    try {
      const picture = await checkPicture(file, limit);
      if (draft.picture) URL.revokeObjectURL(draft.picture.url);
      onChange({ picture });
    } catch (error) {
      if (!(error instanceof Unusable)) throw error;
      setProblem(error.message);
    } finally {
      setChecking(false);
    }
  };

  const chosen = draft.picture ?? (draft.from && { kept: true, url: draft.from.hasPoster ? posterUrl(draft.from.id) : "" });
  return html`
    <fieldset>
      <legend>Picture</legend>
      ${chosen
        ? html`<${Chosen} picture=${chosen} draft=${draft} onChange=${onChange} onFile=${take} />`
        : html`<${DropZone} id="picture" large accept=${ACCEPT} onFile=${take} describedBy="picture-problem"
            label=${html`Drop a picture here, or <u>choose one</u>`}
            hint=${`PNG, JPEG or WebP, or a video to dub. Up to ${bytes(limit)}.`} />`}
      <p id="picture-problem" role="alert" class="problem">${problem}</p>
      ${checking && html`<p role="status" class="quiet">Looking at it …</p>`}
    </fieldset>
  `;
}

function Chosen({ picture, draft, onChange, onFile }) {
  const two = draft.speakers.length > 1 && !picture.kept;
  return html`
    <figure class="picture">
      ${picture.url && html`<div class="frame">
        ${picture.kind === "video"
          ? html`<video src=${picture.url} muted playsinline loop autoplay=${!reducedMotion()} aria-label="The video to dub"></video>`
          : html`<img src=${picture.url} alt=${picture.kept ? "The picture of the video that is made again" : "The chosen picture"} />`}
        ${!picture.kept && html`<${Cut} shape=${draft.shape} picture=${picture} />`}
        ${two && html`<${Regions} regions=${draft.regions} onChange=${(regions) => onChange({ regions })} />`}
      </div>`}
      <figcaption>
        <span class="quiet">${describe(picture, draft.shape)}</span>
        <label class="plain">
          <input id="picture" type="file" class="unseen" accept=${ACCEPT} onChange=${(event) => event.target.files.length && onFile(event.target.files[0])} />
          ${picture.kept ? "Use another picture" : "Change"}
        </label>
      </figcaption>
    </figure>
  `;
}

function Cut({ shape, picture }) {
  const { left, top, width, height } = cropFor(shape, picture);
  if (width > 0.99 && height > 0.99) return null;
  const percent = (part) => `${part * 100}%`;
  return html`<div class="cut" aria-hidden="true"
    style=${{ left: percent(left), top: percent(top), width: percent(width), height: percent(height) }}></div>`;
}

function describe(picture, shape) {
  if (picture.kept) return "The same picture as before";
  const facts = [picture.file.name, `${picture.width} × ${picture.height}`, bytes(picture.file.size)];
  if (picture.seconds) facts.push(clock(picture.seconds));
  const { width, height } = cropFor(shape, picture);
  const cut = Math.round((1 - width * height) * 100);
  return `${facts.join(" · ")}${cut > 1 ? ` · ${cut} % is cut away; the cut follows the face` : ""}`;
}

const reducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
