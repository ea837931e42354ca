// Which part of a picture a shape keeps.

const RATIOS = { "16:9": 16 / 9, "9:16": 9 / 16, "1:1": 1, "3:4": 3 / 4, "4:3": 4 / 3 };
const UPPER = 0.25; // of what is cut, where no face decides: people are in the upper part of pictures

/** Width over height of a shape; the picture's own for Source. */
export const ratioOf = (shape, picture) => RATIOS[shape] ?? (picture ? picture.width / picture.height : 1);

/** The part that is kept, in fractions of the picture. The real cut also follows the faces. */
export function cropFor(shape, { width, height }) {
  const ratio = RATIOS[shape];
  if (!ratio) return { left: 0, top: 0, width: 1, height: 1 };
  const kept = { width: Math.min(1, (height * ratio) / width), height: Math.min(1, width / ratio / height) };
  return { left: (1 - kept.width) / 2, top: (1 - kept.height) * UPPER, ...kept };
}
