// Two rectangles on the picture, one for each speaker's face: moved and sized by mouse, finger or keyboard.

import { html, useRef } from "./vendor/htm-preact.js";

const SMALLEST = 0.08;
const STEP = 0.02;
const MOVES = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

export function Regions({ regions, onChange }) {
  const set = (index, region) => onChange(regions.map((it, at) => (at === index ? region : it)));
  return html`
    <div class="regions" role="group" aria-label="Where the faces are" aria-describedby="regions-help">
      ${regions.map((region, index) => html`<${Face} key=${index} index=${index} region=${region} onChange=${(it) => set(index, it)} />`)}
      <span id="regions-help" class="unseen">Arrow keys move a rectangle; with Shift they change its size.</span>
    </div>
  `;
}

function Face({ index, region, onChange }) {
  const start = useRef(null);

  const begin = (how) => (event) => {
    event.preventDefault();
    event.stopPropagation();
    event.currentTarget.setPointerCapture(event.pointerId);
    const box = event.currentTarget.closest(".regions").getBoundingClientRect();
    start.current = { how, x: event.clientX, y: event.clientY, box, region };
    event.currentTarget.closest(".region").focus();
  };
  const drag = (event) => {
    if (!start.current) return;
    const { how, x, y, box, region: from } = start.current;
    onChange(how(from, (event.clientX - x) / box.width, (event.clientY - y) / box.height));
  };
  const end = () => {
    start.current = null;
  };
  const key = (event) => {
    const step = MOVES[event.key];
    if (!step) return;
    event.preventDefault();
    onChange((event.shiftKey ? sized : moved)(region, ...step));
  };

  const percent = (part) => `${part * 100}%`;
  const place = { left: percent(region.left), top: percent(region.top), width: percent(region.width), height: percent(region.height) };
  return html`
    <button type="button" class=${`region of-${index}`} style=${place} aria-label=${labelOf(index, region)}
      onPointerDown=${begin(moved)} onPointerMove=${drag} onPointerUp=${end} onPointerCancel=${end} onKeyDown=${key}>
      <span class="number" aria-hidden="true">${index + 1}</span>
      <span class="corner" aria-hidden="true" onPointerDown=${begin(sized)} onPointerMove=${drag} onPointerUp=${end} onPointerCancel=${end}></span>
    </button>
  `;
}

function labelOf(index, region) {
  const [left, top, width, height] = [region.left, region.top, region.width, region.height].map((part) => Math.round(part * 100));
  return `Face of speaker ${index + 1}: ${left} % from the left, ${top} % from the top, ${width} % wide, ${height} % high`;
}

function moved(region, x, y) {
  return {
    ...region,
    left: between(0, region.left + x, 1 - region.width),
    top: between(0, region.top + y, 1 - region.height),
  };
}

function sized(region, x, y) {
  return {
    ...region,
    width: between(SMALLEST, region.width + x, 1 - region.left),
    height: between(SMALLEST, region.height + y, 1 - region.top),
  };
}

const between = (low, value, high) => Math.min(high, Math.max(low, value));
