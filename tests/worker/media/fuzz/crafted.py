"""Files that are well-formed as far as a parser looks, and lie about what comes next: counts, lengths, depths, references."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Mapping

from PIL import Image

from .mutants import Mutant
from .seeds import Kind, Seed

HUGE = 0x7FFFFFFF


def _box(name: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + name + content


def _full(name: bytes, *parts: bytes) -> bytes:
    """A box with version and flags."""
    return _box(name, bytes(4), *parts)


def _replaced(content: bytes, name: bytes, box: bytes) -> bytes:
    """An MP4 whose first box of a name is another; the lengths of the boxes around it are right."""
    place = content.index(name) - 4
    length = struct.unpack_from(">I", content, place)[0]
    changed = bytearray(content[:place] + box + content[place + length :])
    difference = len(box) - length
    for around in (b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        start = content.find(around) - 4
        if 0 <= start < place < start + struct.unpack_from(">I", content, start)[0]:
            struct.pack_into(">I", changed, start, struct.unpack_from(">I", content, start)[0] + difference)
    return bytes(changed)


def _table(name: bytes, entry: bytes, said: int) -> Callable[[bytes], bytes]:
    """The MP4 with a table that says that it has more entries than it has."""
    return lambda mp4: _replaced(mp4, name, _full(name, struct.pack(">I", said), entry))


def _edited(entries: int) -> Callable[[bytes], bytes]:
    """The MP4 whose edit list plays its beginning again and again."""
    entry = struct.pack(">IIHH", 100, 0, 1, 0)
    box = _box(b"edts", _full(b"elst", struct.pack(">I", entries), entry * min(entries, 20_000)))
    return lambda mp4: (
        _replaced(mp4, b"edts", box) if b"edts" in mp4 else _replaced(mp4, b"mdia", box + _of(mp4, b"mdia"))
    )


def _of(content: bytes, name: bytes) -> bytes:
    place = content.index(name) - 4
    return content[place : place + struct.unpack_from(">I", content, place)[0]]


def _compressed_header(size: int) -> Callable[[bytes], bytes]:
    """An MP4 whose moov is compressed, and becomes so many bytes."""

    def make(mp4: bytes) -> bytes:
        packed = zlib.compress(bytes(size), 9)
        inner = _box(b"dcom", b"zlib") + _box(b"cmvd", struct.pack(">I", size), packed)
        return _of(mp4, b"ftyp") + _box(b"moov", _box(b"cmov", inner))

    return make


def _many_tracks(count: int) -> Callable[[bytes], bytes]:
    def make(mp4: bytes) -> bytes:
        moov, track = _of(mp4, b"moov"), _of(mp4, b"trak")
        return _of(mp4, b"ftyp") + _box(b"moov", moov[8:], track * count)

    return make


def _reference(kind: bytes, target: bytes) -> Callable[[bytes], bytes]:
    """An MP4 whose samples lie in another file."""
    dref = _full(b"dref", struct.pack(">I", 1), _full(kind, target))
    return lambda mp4: _replaced(mp4, b"dref", dref)


def _deep(name: bytes, levels: int) -> Callable[[bytes], bytes]:
    def make(mp4: bytes) -> bytes:
        nested = b"".join(struct.pack(">I", 8 * (levels - level)) + name for level in range(levels))
        return _of(mp4, b"ftyp") + nested + mp4[len(_of(mp4, b"ftyp")) :]

    return make


def _tiles(_: bytes) -> bytes:
    """A picture in an MP4 container, of 65,536 tiles that do not exist."""
    items = b"".join(
        _box(b"infe", b"\x02\0\0\0", struct.pack(">HH", number % 65_536, 0), b"hvc1\0") for number in range(20_000)
    )
    meta = _full(
        b"meta",
        _full(b"hdlr", bytes(4), b"pict", bytes(13)),
        _full(b"pitm", b"\0\1"),
        _full(b"iloc", b"\x44\0", struct.pack(">H", 65_535), bytes(64)),
        _full(b"iinf", struct.pack(">H", 65_535), items),
    )
    return _box(b"ftyp", b"isom", bytes(4), b"isom") + meta


def _ebml(identifier: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return identifier + struct.pack(">Q", len(content) | 1 << 56) + content


MATROSKA = _ebml(b"\x1a\x45\xdf\xa3", _ebml(b"\x42\x82", b"matroska"))
AUDIO_TRACK = _ebml(
    b"\xae",
    _ebml(b"\xd7", b"\1"),
    _ebml(b"\x83", b"\2"),
    _ebml(b"\x86", b"A_PCM/INT/LIT"),
    _ebml(b"\xe1", _ebml(b"\xb5", struct.pack(">d", 48_000)), _ebml(b"\x9f", b"\1"), _ebml(b"\x62\x64", b"\x10")),
)


def _matroska(*parts: bytes, scale: int = 1_000_000) -> Callable[[bytes], bytes]:
    information = _ebml(b"\x15\x49\xa9\x66", _ebml(b"\x2a\xd7\xb1", struct.pack(">I", scale)))
    return lambda _: MATROSKA + _ebml(b"\x18\x53\x80\x67", information, *parts)


def _cluster(time: int, *blocks: bytes) -> bytes:
    return _ebml(
        b"\x1f\x43\xb6\x75", _ebml(b"\xe7", struct.pack(">Q", time)), *(_ebml(b"\xa3", block) for block in blocks)
    )


def _nested_tags(depth: int) -> bytes:
    tag = b""
    for _ in range(depth):
        tag = _ebml(b"\x67\xc8", _ebml(b"\x45\xa3", b"X"), tag)
    return _ebml(b"\x12\x54\xc3\x67", _ebml(b"\x73\x73", tag))


BLOCK = b"\x81\0\0\x80" + bytes(960)
XIPH_LACES = b"\x81\0\0\x82\xff" + b"\x01" * 255 + bytes(400)


def _wav(
    form: bytes, data: bytes, said: int | None = None, riff: bytes = b"RIFF", more: bytes = b""
) -> Callable[[bytes], bytes]:
    said = len(data) if said is None else said
    chunks = more + b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", said) + data
    return lambda _: riff + struct.pack("<I", 0xFFFFFFFF if riff == b"RF64" else 4 + len(chunks)) + b"WAVE" + chunks


def _form(tag: int = 1, channels: int = 1, rate: int = 48_000, align: int = 2, bits: int = 16) -> bytes:
    return struct.pack("<HHIIHH", tag, channels, rate, rate * align & 0xFFFFFFFF, align, bits)


PCM = bytes(96_000)


def _flac(*blocks: tuple[int, bytes]) -> Callable[[bytes], bytes]:
    """The FLAC with more metadata before its frames."""

    def make(flac: bytes) -> bytes:
        head = b"".join(bytes([kind]) + struct.pack(">I", len(content))[1:] + content for kind, content in blocks)
        return (
            flac[:4] + b"\0" + flac[5:42] + head + b"\x84" + flac[43:]
            if flac[42] & 0x80
            else flac[:42] + head + flac[42:]
        )

    return make


COVER = (6, struct.pack(">II", 3, 9) + b"image/png" + struct.pack(">IIIIII", 0, 1, 1, 24, 0, 4 << 20) + bytes(4 << 20))
COMMENTS = (4, struct.pack("<II", 0, 100_000) + b"".join(struct.pack("<I", 3) + b"A=b" for _ in range(100_000)))
LYING_COMMENTS = (4, struct.pack("<II", 0, HUGE) + struct.pack("<I", HUGE) + bytes(64))
SEEK_TABLE = (3, bytes(18) * 500_000)


def _id3(*frames: tuple[bytes, int, bytes]) -> Callable[[bytes], bytes]:
    """The MP3 with a tag of version 2.4 before it."""

    def synchsafe(number: int) -> bytes:
        return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))

    content = b"".join(name + synchsafe(len(data)) + struct.pack(">H", flags) + data for name, flags, data in frames)
    return lambda mp3: b"ID3\x04\0\0" + synchsafe(len(content)) + content + mp3


def _inflating(size: int) -> tuple[bytes, int, bytes]:
    """A frame that is compressed, and becomes so many bytes."""
    length = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"PRIV", 0x0009, length + zlib.compress(bytes(size), 9)


def _chained_ogg(links: int) -> Callable[[bytes], bytes]:
    """Streams one after another, each with a number of its own. Their checksums are wrong, which FFmpeg does not mind."""

    def make(ogg: bytes) -> bytes:
        serial = ogg[14:18]
        return b"".join(ogg.replace(serial, struct.pack("<I", link)) for link in range(links))

    return make


def _grown_granule(ogg: bytes) -> bytes:
    last = ogg.rindex(b"OggS")
    return ogg[: last + 6] + struct.pack("<q", 1 << 60) + ogg[last + 14 :]


def _caf(packets: int) -> bytes:
    description = b"desc" + struct.pack(">q", 32) + struct.pack(">d4sIIIII", 48_000, b"aac ", 0, 0, 1_024, 1, 0)
    table = b"pakt" + struct.pack(">qqqii", 24 + 1_000, packets, packets * 1_024, 0, 0) + b"\x01" * 1_000
    return b"caff\0\x01\0\0" + description + table + b"data" + struct.pack(">q", 4 + 1_000) + bytes(1_004)


def _flv(depth: int) -> bytes:
    """Its metadata are arrays in arrays."""
    nested = b"\x0a\0\0\0\x01" * depth
    body = b"\x02\0\x0aonMetaData" + nested
    return b"FLV\x01\x05\0\0\0\x09\0\0\0\0" + b"\x12" + struct.pack(">I", len(body))[1:] + bytes(7) + body + bytes(4)


def _avi_index(avi: bytes) -> bytes:
    """Its index points to itself."""
    place = avi.index(b"strf") - 8
    indx = b"indx" + struct.pack("<IHBBI", 24 + 16 * 1_000, 4, 0, 0, 1_000) + b"00dc" + bytes(12)
    return avi[:place] + indx + struct.pack("<QII", place, 24, HUGE) * 1_000 + avi[place:]


def _transport_programs(_: bytes) -> bytes:
    """A transport stream of thousands of programs, each of which is announced again and again."""
    packets = []
    for number in range(300):
        programs = b"".join(
            struct.pack(">HH", number * 40 % 65_000 + entry + 1, 0xE000 | (32 + entry)) for entry in range(40)
        )
        section = b"\0" + struct.pack(">H", 0xB000 | (9 + len(programs))) + b"\0\1\xc1\0\0" + programs + bytes(4)
        packets.append((b"G\x40\0" + bytes([0x10 | number & 15]) + b"\0" + section).ljust(188, b"\xff"))
    return b"".join(packets)


def _png(*chunks: tuple[bytes, bytes], side: int = 128, frames: bool = False) -> bytes:
    """A PNG with more chunks before its pixels."""
    made = io.BytesIO()
    Image.new("RGB", (side, side)).save(made, "PNG")
    content = made.getvalue()
    extra = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return content[:33] + extra + content[33:]


ZEROS = zlib.compress(bytes(256 << 20), 9)


def _jpeg(*segments: tuple[int, bytes], **options: object) -> bytes:
    made = io.BytesIO()
    Image.effect_noise((128, 128), 40).convert("RGB").save(made, "JPEG", **options)
    content = made.getvalue()
    extra = b"".join(b"\xff" + bytes([kind]) + struct.pack(">H", 2 + len(data)) + data for kind, data in segments)
    return content[:2] + extra + content[2:]


def _exif(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """EXIF with one directory: tag, type, count, value or offset."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + struct.pack("<I", following)


def _icc(tags: int, form: bytes = b"mft2") -> bytes:
    """A profile whose tables are as large as it says."""
    table = b"".join(struct.pack(">4sII", name, 1_000, 60_000) for name in (b"A2B0", b"B2A0", b"A2B1", b"B2A1")[:tags])
    head = struct.pack(">I4sI4s4s4s", 62_000, b"lcms", 0x04300000, b"mntr", b"RGB ", b"Lab ").ljust(36, b"\0") + b"acsp"
    lut = form + bytes(4) + b"\x0f\x0f\xff\0" + bytes(36) + struct.pack(">HH", 4_096, 4_096)
    return ((head.ljust(128, b"\0") + struct.pack(">I", tags) + table).ljust(1_000, b"\0") + lut).ljust(62_000, b"\1")


def _webp_frames(count: int, side: int) -> bytes:
    made = io.BytesIO()
    pictures = [Image.new("RGB", (side, side), (number % 256, 0, 0)) for number in range(count)]
    pictures[0].save(made, "WEBP", save_all=True, append_images=pictures[1:], minimize_size=False)
    return made.getvalue()


def _png_bits(width: int, height: int, *, interlaced: bool) -> bytes:
    """A black picture of one bit per pixel."""
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, interlaced)
    rows = zlib.compress(bytes((1 + (width + 7) // 8) * height * (2 if interlaced else 1)), 9)
    chunks = ((b"IHDR", head), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def _anything(content: Callable[[], bytes]) -> Callable[[bytes], bytes]:
    return lambda _: content()


Recipe = tuple[str, Kind, Callable[[bytes], bytes]]

CRAFTED: Mapping[str, Recipe] = {
    "png: a profile that inflates to 256 MB": (
        "png",
        Kind.PICTURE,
        _anything(lambda: _png((b"iCCP", b"x\0\0" + ZEROS))),
    ),
    "png: a text that inflates to 256 MB": ("png", Kind.PICTURE, _anything(lambda: _png((b"zTXt", b"x\0\0" + ZEROS)))),
    "png: forty texts that inflate": (
        "png",
        Kind.PICTURE,
        _anything(lambda: _png(*[(b"iTXt", b"x\0\1\0\0\0" + zlib.compress(bytes(1 << 20)))] * 40)),
    ),
    "png: a hundred thousand chunks": ("png", Kind.PICTURE, _anything(lambda: _png(*[(b"teSt", b"")] * 100_000))),
    "png: a million frames are announced": (
        "png",
        Kind.PICTURE,
        _anything(
            lambda: _png(
                (b"acTL", struct.pack(">II", HUGE, 0)),
                (b"fcTL", struct.pack(">IIIIIHHBB", 0, 128, 128, 0, 0, 1, 1, 0, 0)),
            )
        ),
    ),
    "png: a hundred megapixels in 12 kB": (
        "png",
        Kind.PICTURE,
        _anything(lambda: _png_bits(9_984, 9_984, interlaced=False)),
    ),
    "png: a hundred megapixels, interlaced": (
        "png",
        Kind.PICTURE,
        _anything(lambda: _png_bits(9_984, 9_984, interlaced=True)),
    ),
    "png: EXIF whose directory leads to itself": (
        "png",
        Kind.PICTURE,
        _anything(lambda: _png((b"eXIf", _exif((0x8769, 4, 1, 8), (0x0112, 3, 1, 6), following=8)[6:]))),
    ),
    "jpeg: EXIF whose directory leads to itself": (
        "jpeg",
        Kind.PICTURE,
        _anything(lambda: _jpeg((0xE1, _exif((0x8769, 4, 1, 8), (0xA005, 4, 1, 8), (0x0112, 3, 1, 6), following=8)))),
    ),
    "jpeg: EXIF of two thousand millions of values": (
        "jpeg",
        Kind.PICTURE,
        _anything(lambda: _jpeg((0xE1, _exif((0x0112, 12, HUGE, 8), (0x010F, 2, 0xFFFFFFFF, 8))))),
    ),
    "jpeg: XMP of megabytes": (
        "jpeg",
        Kind.PICTURE,
        _anything(lambda: _jpeg(*[(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"<a>" * 20_000)] * 100)),
    ),
    "jpeg: a profile of 255 parts": (
        "jpeg",
        Kind.PICTURE,
        _anything(
            lambda: _jpeg(*[(0xE2, b"ICC_PROFILE\0" + bytes([part, 255]) + bytes(30_000)) for part in range(1, 256)])
        ),
    ),
    "jpeg: a profile of enormous tables": ("jpeg", Kind.PICTURE, _anything(lambda: _jpeg(icc_profile=_icc(4)))),
    "jpeg: a profile of many dimensions": (
        "jpeg",
        Kind.PICTURE,
        _anything(lambda: _jpeg(icc_profile=_icc(4, b"mAB "))),
    ),
    "jpeg: a hundred pictures in one": (
        "jpeg",
        Kind.PICTURE,
        _anything(
            lambda: _jpeg(
                (0xE2, b"MPF\0II*\0\x08\0\0\0\x03\0" + struct.pack("<HHII", 0xB001, 4, 1, 65_535) * 3 + bytes(4))
            )
        ),
    ),
    "jpeg: comments only": ("jpeg", Kind.PICTURE, lambda _: b"\xff\xd8" + (b"\xff\xfe\xff\xff" + bytes(65_533)) * 100),
    "jpeg: a marker without end": ("jpeg", Kind.PICTURE, lambda _: b"\xff\xd8" + b"\xff" * 1_000_000),
    "webp: three hundred frames": ("webp", Kind.PICTURE, _anything(lambda: _webp_frames(300, 256))),
    "webp: a canvas that its frame does not fill": (
        "webp",
        Kind.PICTURE,
        _anything(
            lambda: (
                (made := _webp_frames(2, 128))[:24]
                + struct.pack("<I", 7_000 - 1)[:3]
                + struct.pack("<I", 7_000 - 1)[:3]
                + made[30:]
            )
        ),
    ),
    "mp4: times of two thousand million samples": ("m4a", Kind.SOUND, _table(b"stts", struct.pack(">II", HUGE, 1), 1)),
    "mp4: times that add up to years": ("m4a", Kind.SOUND, _table(b"stts", struct.pack(">II", 10, HUGE), 1)),
    "mp4: a table that is longer than the file": (
        "m4a",
        Kind.SOUND,
        _table(b"stts", struct.pack(">II", 1, 1_024), 0x0FFFFFFF),
    ),
    "mp4: two thousand million samples of one byte": (
        "m4a",
        Kind.SOUND,
        lambda mp4: _replaced(mp4, b"stsz", _full(b"stsz", struct.pack(">II", 1, HUGE))),
    ),
    "mp4: samples of two gigabytes": (
        "m4a",
        Kind.SOUND,
        lambda mp4: _replaced(mp4, b"stsz", _full(b"stsz", struct.pack(">II", HUGE, 20))),
    ),
    "mp4: chunks of two thousand million samples": (
        "m4a",
        Kind.SOUND,
        _table(b"stsc", struct.pack(">III", 1, HUGE, 1), 1),
    ),
    "mp4: thousands of edits": ("mp4", Kind.VIDEO, _edited(20_000)),
    "mp4: a lying number of edits": ("mp4", Kind.VIDEO, _edited(0x0FFFFFFF)),
    "mp4: a header that inflates to 256 MB": ("m4a", Kind.SOUND, _compressed_header(256 << 20)),
    "mp4: two thousand tracks": ("m4a", Kind.SOUND, _many_tracks(2_000)),
    "mp4: samples in another file": ("mp4", Kind.VIDEO, _reference(b"url ", b"file:///etc/passwd\0")),
    "mp4: samples in an alias": ("mov", Kind.VIDEO, _reference(b"alis", bytes(10) + b"/etc/passwd".ljust(140, b"\0"))),
    "mp4: ten thousand boxes in each other": ("m4a", Kind.SOUND, _deep(b"moov", 10_000)),
    "mp4: metadata in each other": ("m4a", Kind.SOUND, _deep(b"udta", 10_000)),
    "mp4: a picture of tiles": ("m4a", Kind.VIDEO, _tiles),
    "mkv: tags in each other": (
        "mkv",
        Kind.SOUND,
        _matroska(_ebml(b"\x16\x54\xae\x6b", AUDIO_TRACK), _nested_tags(3_000)),
    ),
    "mkv: a thousand tracks": (
        "mkv",
        Kind.SOUND,
        _matroska(_ebml(b"\x16\x54\xae\x6b", *[AUDIO_TRACK] * 1_000), _cluster(0, BLOCK)),
    ),
    "mkv: a scale of time that makes years": (
        "mkv",
        Kind.SOUND,
        _matroska(
            _ebml(b"\x16\x54\xae\x6b", AUDIO_TRACK), _cluster(0, BLOCK), _cluster(1 << 40, BLOCK), scale=0xFFFFFFFF
        ),
    ),
    "mkv: blocks of 256 laces": (
        "mkv",
        Kind.SOUND,
        _matroska(_ebml(b"\x16\x54\xae\x6b", AUDIO_TRACK), *[_cluster(number, XIPH_LACES) for number in range(2_000)]),
    ),
    "mkv: clusters of nothing": (
        "mkv",
        Kind.SOUND,
        _matroska(_ebml(b"\x16\x54\xae\x6b", AUDIO_TRACK), *[_cluster(number) for number in range(100_000)]),
    ),
    "wav: more data than there are": ("wav", Kind.SOUND, _wav(_form(), PCM, 0xFFFFFFFE)),
    "wav: no data at all": ("wav", Kind.SOUND, _wav(_form(), b"", 0xFFFFFFFF)),
    "wav: 65,535 channels": ("wav", Kind.SOUND, _wav(_form(channels=65_535, align=65_534), PCM)),
    "wav: four gigahertz": ("wav", Kind.SOUND, _wav(_form(rate=0xFFFFFFFF), PCM)),
    "wav: no rate": ("wav", Kind.SOUND, _wav(_form(rate=0), PCM)),
    "wav: blocks of nothing": ("wav", Kind.SOUND, _wav(_form(align=0, bits=0), PCM)),
    "wav: another codec": ("wav", Kind.SOUND, _wav(_form(tag=0x161, align=1, bits=0) + bytes(12), bytes(9_600))),
    "wav: ADPCM of large blocks": ("wav", Kind.SOUND, _wav(_form(tag=2, align=65_535, bits=4) + bytes(2), PCM)),
    "wav: sizes of 2^63": (
        "wav",
        Kind.SOUND,
        _wav(_form(), PCM, 0xFFFFFFFF, b"RF64", b"ds64" + struct.pack("<IQQQI", 28, 1 << 63, 1 << 63, 1 << 63, 0)),
    ),
    "wav: a list in each chunk": ("wav", Kind.SOUND, _wav(_form(), PCM, more=b"LIST\x04\0\0\0INFO" * 50_000)),
    "flac: covers of megabytes": ("flac", Kind.SOUND, _flac(*[COVER] * 8)),
    "flac: a hundred thousand comments": ("flac", Kind.SOUND, _flac(COMMENTS)),
    "flac: comments that lie": ("flac", Kind.SOUND, _flac(LYING_COMMENTS)),
    "flac: half a million places to seek": ("flac", Kind.SOUND, _flac(SEEK_TABLE)),
    "mp3: frames that inflate to 128 MB": ("mp3", Kind.SOUND, _id3(*[_inflating(128 << 20)] * 20)),
    "mp3: a hundred thousand frames": ("mp3", Kind.SOUND, _id3(*[(b"TXXX", 0, b"\0a\0b")] * 100_000)),
    "mp3: chapters in chapters": (
        "mp3",
        Kind.SOUND,
        _id3(*[(b"CHAP", 0, b"c%d\0" % number + struct.pack(">IIII", 0, HUGE, 0, 0)) for number in range(20_000)]),
    ),
    "ogg: three hundred streams in a row": ("opus", Kind.SOUND, _chained_ogg(300)),
    "ogg: an end in ages": ("opus", Kind.SOUND, _grown_granule),
    "caf: a million million packets": ("caf", Kind.SOUND, _anything(lambda: _caf(1 << 40))),
    "flv: a hundred thousand arrays in each other": ("flv", Kind.VIDEO, _anything(lambda: _flv(100_000))),
    "avi: an index of itself": ("avi", Kind.VIDEO, _avi_index),
    "mpegts: thousands of programs": ("mpegts", Kind.VIDEO, _transport_programs),
    "hls: under a name": ("mpegts", Kind.VIDEO, lambda ts: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n" + ts),
    "hls: in a transport stream": (
        "mpegts",
        Kind.VIDEO,
        lambda ts: ts[:188] + b"#EXTM3U\n#EXTINF:1,\nhttps://a/b\n" + ts[188:],
    ),
    "concat: under a name": ("wav", Kind.SOUND, lambda _: b"ffconcat version 1.0\nfile /etc/passwd\n"),
    "sdp: under a name": ("wav", Kind.SOUND, lambda _: b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n"),
    "svg: under a name": (
        "png",
        Kind.PICTURE,
        lambda _: b"<svg xmlns='http://www.w3.org/2000/svg'><image href='/etc/passwd'/></svg>",
    ),
    "postscript: under a name": (
        "png",
        Kind.PICTURE,
        lambda _: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
    ),
    "pdf: under a name": ("png", Kind.PICTURE, lambda _: b"%PDF-1.7\n1 0 obj <</Type /Catalog>> endobj\n"),
    "gif: under a name": ("png", Kind.PICTURE, lambda _: b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + bytes(100)),
    "mvg: under a name": ("png", Kind.PICTURE, lambda _: b"push graphic-context\nimage over 0,0 0,0 'https://a/b'\n"),
}
"""By what is wrong: the seed that it is made from, how it is used, and how it is made."""


def craft(seeds: list[Seed]) -> list[Mutant]:
    """Every file whose seed this FFmpeg can write."""
    known = {seed.name: seed.content for seed in seeds}
    recipes = [(name, *recipe) for name, recipe in CRAFTED.items() if recipe[0] in known]
    return [Mutant(number, name, kind, make(known[seed])) for number, (name, seed, kind, make) in enumerate(recipes)]
