import { html } from "./vendor/htm-preact.js";
import { ratioOf } from "./crop.js";

const NAMES = { Source: "As the picture", "16:9": "Wide", "9:16": "Tall", "1:1": "Square", "3:4": "Portrait", "4:3": "Landscape" };
const SIDE = 22; // pixels of the longer side of a shape's sign

export function ShapeField({ shapes, shape, picture, onChange }) {
  return html`
    <fieldset class="choice">
      <legend>Shape</legend>
      <div class="shapes">
        ${shapes.map(
          (each) => html`
            <label>
              <input type="radio" name="shape" value=${each} checked=${shape === each} onChange=${() => onChange(each)} />
              <span class="shape"><span class="sign" style=${sign(each, picture)} aria-hidden="true"></span>${NAMES[each] ?? each}</span>
            </label>
          `,
        )}
      </div>
    </fieldset>
  `;
}

function sign(shape, picture) {
  const ratio = Math.min(3, Math.max(1 / 3, ratioOf(shape, picture)));
  return { width: `${SIDE * Math.min(1, ratio)}px`, height: `${SIDE * Math.min(1, 1 / ratio)}px` };
}
