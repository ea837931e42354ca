import { html } from "./vendor/htm-preact.js";

const HEIGHT = 48;

/** The loudness of a sound over its time; a picture for the eye only, since the player beside it can be heard. */
export function Waveform({ peaks }) {
  const loudest = Math.max(...peaks, 0.01);
  const bars = peaks.map((peak, index) => {
    const height = Math.max(1.5, (peak / loudest) * HEIGHT);
    return `M${index * 3 + 1} ${(HEIGHT - height) / 2}v${height}`;
  });
  return html`
    <svg class="waveform" viewBox=${`0 0 ${peaks.length * 3} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path d=${bars.join("")} />
    </svg>
  `;
}
