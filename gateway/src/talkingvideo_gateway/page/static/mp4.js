// Reads plain MP4 files with one track, and writes their samples as fragments, which is what Media Source Extensions take
// (ISO/IEC 14496-12; boxes are named as there).

const text = (view, at) => String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + at, 4));

/** Children of a box: [type, DataView of its content] each. */
function* boxes(view, at = 0) {
  while (at + 8 <= view.byteLength) {
    let size = view.getUint32(at);
    let header = 8;
    if (size === 1) {
      size = Number(view.getBigUint64(at + 8));
      header = 16;
    }
    if (size === 0) size = view.byteLength - at;
    yield [text(view, at + 4), new DataView(view.buffer, view.byteOffset + at + header, size - header)];
    at += size;
  }
}

function find(view, ...path) {
  return path.reduce((place, type) => place && [...boxes(place)].find(([name]) => name === type)?.[1], view);
}

/**
 * The track of a file.
 * {kind: "video" | "audio", codec, timescale, shift, description, samples: [{data, duration, offset, isKey}]}
 * `shift` is what the edit list skips, in units of the timescale; `offset` is presentation minus decoding time.
 */
export function readTrack(buffer) {
  const file = new DataView(buffer);
  const track = find(file, "moov", "trak");
  const media = find(track, "mdia");
  const table = find(media, "minf", "stbl");
  const isVideo = text(find(media, "hdlr"), 8) === "vide";
  const description = find(table, "stsd");
  return {
    kind: isVideo ? "video" : "audio",
    codec: isVideo ? avcCodec(description) : "mp4a.40.2",
    timescale: timescaleOf(find(media, "mdhd")),
    shift: shiftOf(find(track, "edts", "elst")),
    description: new Uint8Array(description.buffer, description.byteOffset, description.byteLength),
    samples: samplesOf(table, buffer),
  };
}

function timescaleOf(header) {
  return header.getUint32(header.getUint8(0) === 1 ? 20 : 12);
}

function shiftOf(edits) {
  if (!edits || !edits.getUint32(4)) return 0;
  return edits.getUint8(0) === 1 ? Number(edits.getBigInt64(16)) : edits.getInt32(12);
}

/** avc1.PPCCLL from the decoder's configuration in the sample entry. */
function avcCodec(description) {
  const entry = [...boxes(description, 8)][0][1];
  const [, configuration] = [...boxes(entry, 78)].find(([type]) => type === "avcC");
  const hex = [1, 2, 3].map((at) => configuration.getUint8(at).toString(16).padStart(2, "0"));
  return `avc1.${hex.join("")}`;
}

function samplesOf(table, buffer) {
  const durations = runs(find(table, "stts"), (view, at) => view.getUint32(at));
  const composition = find(table, "ctts");
  const offsets = composition ? runs(composition, (view, at) => view.getInt32(at)) : [];
  const keys = keysOf(find(table, "stss"));
  return places(table).map(([at, size], index) => ({
    data: new Uint8Array(buffer, at, size),
    duration: durations[index] ?? durations.at(-1),
    offset: offsets[index] ?? 0,
    isKey: keys ? keys.has(index + 1) : true,
  }));
}

/** A table of (count, value), spread out. */
function runs(view, read) {
  const values = [];
  for (let entry = 0; entry < view.getUint32(4); entry += 1) {
    const at = 8 + entry * 8;
    for (let left = view.getUint32(at); left > 0; left -= 1) values.push(read(view, at + 4));
  }
  return values;
}

function keysOf(view) {
  return view && new Set(Array.from({ length: view.getUint32(4) }, (_, index) => view.getUint32(8 + index * 4)));
}

/** Position and size of each sample in the file. */
function places(table) {
  const sizes = sizesOf(find(table, "stsz"));
  const chunks = chunksOf(table);
  const perChunk = find(table, "stsc");
  const found = [];
  let entry = 0;
  chunks.forEach((start, index) => {
    const next = 8 + (entry + 1) * 12;
    if (entry + 1 < perChunk.getUint32(4) && perChunk.getUint32(next) === index + 1) entry += 1;
    let at = start;
    for (let left = perChunk.getUint32(8 + entry * 12 + 4); left > 0 && found.length < sizes.length; left -= 1) {
      found.push([at, sizes[found.length]]);
      at += sizes[found.length - 1];
    }
  });
  return found;
}

function sizesOf(view) {
  const same = view.getUint32(4);
  return Array.from({ length: view.getUint32(8) }, (_, index) => same || view.getUint32(12 + index * 4));
}

function chunksOf(table) {
  const short = find(table, "stco");
  if (short) return Array.from({ length: short.getUint32(4) }, (_, index) => short.getUint32(8 + index * 4));
  const long = find(table, "co64");
  return Array.from({ length: long.getUint32(4) }, (_, index) => Number(long.getBigUint64(8 + index * 8)));
}
