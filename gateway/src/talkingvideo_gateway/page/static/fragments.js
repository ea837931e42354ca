// Writes fragmented MP4 for Media Source Extensions: an initialization segment, then fragments (ISO/IEC 14496-12).

const MATRIX = [0x00010000, 0, 0, 0, 0x00010000, 0, 0, 0, 0x40000000];
const KEY = 0x02000000; // depends on no other sample
const OTHER = 0x01010000;
const TFHD_FLAGS = 0x020000; // offsets count from the fragment's own moof
const TRUN_FLAGS = 0x000f01; // position, and of each sample: duration, size, flags, composition offset

const bytes = (...parts) => {
  const all = parts.map((part) => (typeof part === "string" ? ascii(part) : part));
  const joined = new Uint8Array(all.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of all) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
};

const ascii = (letters) => Uint8Array.from(letters, (letter) => letter.charCodeAt(0));

const u32 = (...values) => {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  values.forEach((value, index) => view.setInt32(index * 4, value | 0));
  return new Uint8Array(view.buffer);
};

const u16 = (...values) => bytes(...values.map((value) => Uint8Array.of(value >> 8, value & 255)));

function box(type, ...content) {
  const inside = bytes(...content);
  return bytes(u32(inside.length + 8), type, inside);
}

const full = (type, version, flags, ...content) => box(type, u32((version << 24) | flags), ...content);

/** What a source buffer takes first. */
export function initialization({ kind, timescale, description }) {
  const isVideo = kind === "video";
  const movie = full("mvhd", 0, 0, u32(0, 0, timescale, 0, 0x00010000), u16(0x0100, 0), u32(0, 0, ...MATRIX), u32(0, 0, 0, 0, 0, 0, 2));
  const header = full("tkhd", 0, 7, u32(0, 0, 1, 0, 0, 0, 0), u16(0, 0, isVideo ? 0 : 0x0100, 0), u32(...MATRIX), u32(0, 0));
  const media = box(
    "mdia",
    full("mdhd", 0, 0, u32(0, 0, timescale, 0), u16(0x55c4, 0)),
    full("hdlr", 0, 0, u32(0), isVideo ? "vide" : "soun", u32(0, 0, 0), Uint8Array.of(0)),
    box(
      "minf",
      isVideo ? full("vmhd", 0, 1, u32(0, 0)) : full("smhd", 0, 0, u32(0)),
      box("dinf", full("dref", 0, 0, u32(1), full("url ", 0, 1))),
      box("stbl", box("stsd", description), ...["stts", "stsc", "stco"].map((type) => full(type, 0, 0, u32(0))), full("stsz", 0, 0, u32(0, 0))),
    ),
  );
  const extends_ = box("mvex", full("trex", 0, 0, u32(1, 1, 0, 0, 0)));
  return bytes(box("ftyp", "iso5", u32(512), "iso5", "iso6", "mp41"), box("moov", movie, box("trak", header, media), extends_));
}

/** Samples as one fragment that is decoded from `start` on, in units of the track's timescale. */
export function fragment(samples, start, shift = 0) {
  const rows = samples.flatMap((sample) => [sample.duration, sample.data.length, sample.isKey ? KEY : OTHER, sample.offset - shift]);
  const moof = (position) =>
    box(
      "moof",
      full("mfhd", 0, 0, u32(1)),
      box(
        "traf",
        full("tfhd", 0, TFHD_FLAGS, u32(1)),
        full("tfdt", 1, 0, u32(Math.floor(start / 2 ** 32), start)),
        full("trun", 1, TRUN_FLAGS, u32(samples.length, position, ...rows)),
      ),
    );
  const position = moof(0).length + 8; // behind the header of mdat
  return bytes(moof(position), box("mdat", ...samples.map((sample) => sample.data)));
}

export const durationOf = (samples) => samples.reduce((sum, sample) => sum + sample.duration, 0);
