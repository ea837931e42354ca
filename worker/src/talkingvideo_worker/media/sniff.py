"""What a file is, from its content.

Neither its name nor its declared type is believed: a text file named ``voice.wav`` may be a playlist that makes a media
library open other files. A file is recognised by its own first bytes, and then opened as exactly that.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from talkingvideo_worker.media.mpeg_audio import is_adts, is_mpeg_audio, skip_id3

HEAD = 65_536
"""Bytes that are looked at, behind an ID3 tag where there is one."""


@dataclass(frozen=True)
class Kind:
    """A file format.

    Attributes:
        label: Its name for people, with an article.
        demuxer: FFmpeg's demuxer for sound and video; None where FFmpeg shall not open it.
        is_picture: Whether it is one of the picture formats that are read.
    """

    label: str
    demuxer: str | None = None
    is_picture: bool = False


PNG = Kind("a PNG picture", is_picture=True)
JPEG = Kind("a JPEG picture", is_picture=True)
WEBP = Kind("a WebP picture", is_picture=True)

WAV = Kind("a WAV file", "wav")
W64 = Kind("a Wave64 file", "w64")
AIFF = Kind("an AIFF file", "aiff")
FLAC = Kind("a FLAC file", "flac")
MP3 = Kind("an MP3 file", "mp3")
AAC = Kind("an AAC file (ADTS)", "aac")
OGG = Kind("an Ogg file", "ogg")
MP4 = Kind("an MP4 or QuickTime file", "mov")
MATROSKA = Kind("a Matroska or WebM file", "matroska")
AVI = Kind("an AVI file", "avi")
MPEG_TS = Kind("an MPEG transport stream", "mpegts")
MPEG_PS = Kind("an MPEG program stream", "mpeg")
ASF = Kind("a Windows Media file", "asf")
AMR = Kind("an AMR file", "amr")
CAF = Kind("a Core Audio file", "caf")
FLV = Kind("a Flash video", "flv")
AU = Kind("an AU file", "au")

GIF = Kind("a GIF picture")
TIFF = Kind("a TIFF picture")
BMP = Kind("a BMP picture")
HEIC = Kind("a HEIC picture")
AVIF = Kind("an AVIF picture")
JPEG_XL = Kind("a JPEG XL picture")
JPEG_2000 = Kind("a JPEG 2000 picture")
ICON = Kind("an icon")
PSD = Kind("a Photoshop file")
SVG = Kind("an SVG drawing")
PDF = Kind("a PDF document")
MIDI = Kind("a MIDI file, which holds notes and no sound")
PLAYLIST = Kind("an HLS playlist")
CONCAT = Kind("an FFmpeg concat script")
DASH = Kind("a DASH manifest")
SDP = Kind("an SDP session description")
HTML = Kind("a web page")
XML = Kind("an XML document")
JSON = Kind("a JSON document")
TEXT = Kind("a text")
ARCHIVE = Kind("an archive")
EMPTY = Kind("an empty file")
UNKNOWN = Kind("a file of an unknown kind")

PREFIXES: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"fLaC", FLAC),
    (b"OggS", OGG),
    (b"\x1a\x45\xdf\xa3", MATROSKA),
    (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), ASF),
    (bytes.fromhex("726966662e91cf11a5d628db04c10000"), W64),
    (b"#!AMR\n", AMR),
    (b"#!AMR-WB\n", AMR),
    (b"caff\x00\x01", CAF),
    (b"FLV\x01", FLV),
    (b".snd\x00\x00\x00", AU),
    (b"\x00\x00\x01\xba", MPEG_PS),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"II*\x00", TIFF),
    (b"MM\x00*", TIFF),
    (b"II+\x00", TIFF),
    (b"MM\x00+", TIFF),
    (b"\xff\x0a", JPEG_XL),
    (b"\x00\x00\x00\x0cJXL ", JPEG_XL),
    (b"\x00\x00\x00\x0cjP  ", JPEG_2000),
    (b"\x00\x00\x01\x00", ICON),
    (b"8BPS", PSD),
    (b"%PDF-", PDF),
    (b"MThd", MIDI),
    (b"PK\x03\x04", ARCHIVE),
    (b"\x1f\x8b", ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", ARCHIVE),
    (b"Rar!", ARCHIVE),
)

FORMS: tuple[tuple[tuple[bytes, ...], bytes, Kind], ...] = (
    ((b"RIFF",), b"WEBP", WEBP),
    ((b"RIFF", b"RF64", b"BW64"), b"WAVE", WAV),
    ((b"RIFF",), b"AVI ", AVI),
    ((b"FORM",), b"AIFF", AIFF),
    ((b"FORM",), b"AIFC", AIFF),
)
"""Chunked formats: the four bytes at 0, and those at 8."""

QUICKTIME_ATOMS = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
"""What a QuickTime file without ``ftyp`` begins with (QuickTime File Format Specification, "Atoms")."""

PICTURE_BRANDS = {
    b"avif": AVIF,
    b"avis": AVIF,
    b"heic": HEIC,
    b"heix": HEIC,
    b"heim": HEIC,
    b"heis": HEIC,
    b"mif1": HEIC,
}

TEXTS: tuple[tuple[str, Kind], ...] = (
    ("#extm3u", PLAYLIST),
    ("ffconcat", CONCAT),
    ("v=0", SDP),
    ("<!doctype html", HTML),
    ("<html", HTML),
    ("<svg", SVG),
    ("<mpd", DASH),
    ("{", JSON),
    ("[{", JSON),
)

TS_PACKET = 188
TS_TIMED_PACKET = 192
"""Length of a transport stream's packet, and of one with a time code before it (M2TS)."""

BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
"""Lengths of the header that follows a BMP's file header."""


def sniff(path: Path) -> Kind:
    """Recognise a file.

    Returns:
        Its kind; also for the many which are recognised only so that a refusal can name them.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
        tag = skip_id3(head)
        if tag:
            file.seek(tag)
            return _tagged(file.read(HEAD))
    return _recognise(head)


def _recognise(head: bytes) -> Kind:
    if not head:
        return EMPTY
    for recognise in RECOGNISERS:
        kind = recognise(head)
        if kind is not None:
            return kind
    return UNKNOWN


def _tagged(head: bytes) -> Kind:
    """What follows an ID3 tag: usually MPEG audio, at times FLAC, AAC or a whole WAV."""
    kind = _recognise(head)
    return kind if kind in {MP3, FLAC, AAC, WAV, AIFF} else UNKNOWN


def _by_prefix(head: bytes) -> Kind | None:
    return next((kind for prefix, kind in PREFIXES if head.startswith(prefix)), None)


def _by_form(head: bytes) -> Kind | None:
    return next((kind for outer, inner, kind in FORMS if head[:4] in outer and head[8:12] == inner), None)


def _by_atom(head: bytes) -> Kind | None:
    size, name = int.from_bytes(head[:4], "big"), head[4:8]
    if name == b"ftyp" and size >= 12:
        return PICTURE_BRANDS.get(head[8:12], MP4)
    return MP4 if name in QUICKTIME_ATOMS and (size >= 8 or size in {0, 1}) else None


def _by_packets(head: bytes) -> Kind | None:
    for offset, length in ((0, TS_PACKET), (4, TS_TIMED_PACKET)):
        syncs = head[offset : offset + 5 * length : length]
        if syncs == b"G" * 5:
            return MPEG_TS
    return None


def _by_frames(head: bytes) -> Kind | None:
    if is_adts(head):
        return AAC
    return MP3 if is_mpeg_audio(head) else None


def _by_bitmap_header(head: bytes) -> Kind | None:
    is_bitmap = head[:2] == b"BM" and head[6:10] == bytes(4) and int.from_bytes(head[14:18], "little") in BMP_HEADERS
    return BMP if is_bitmap else None


def _by_text(head: bytes) -> Kind | None:
    text = _as_text(head[:4096])
    if text is None:
        return None
    opening = text.lstrip("\ufeff \t\r\n").lower()
    for start, kind in TEXTS:
        if opening.startswith(start):
            return kind
    if opening.startswith(("<?xml", "<!--", "<!doctype")):
        inner = ((f"<{name}", kind) for name, kind in (("svg", SVG), ("mpd", DASH), ("html", HTML)))
        return next((kind for start, kind in inner if start in opening), XML)
    lines = opening.splitlines()
    return CONCAT if any(line.lstrip().startswith(("file ", "file\t")) for line in lines[:20]) else TEXT


def _as_text(head: bytes) -> str | None:
    """The bytes as text if they are nothing but text."""
    encoding = "utf-16" if head[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        text = decoder.decode(head)
    except UnicodeDecodeError:
        return None
    return text if all(character.isprintable() or character in "\r\n\t\f\ufeff" for character in text) else None


RECOGNISERS: tuple[Callable[[bytes], Kind | None], ...] = (
    _by_atom,
    _by_prefix,
    _by_form,
    _by_packets,
    _by_bitmap_header,
    _by_frames,
    _by_text,
)
"""From the most to the least distinctive."""


def webp_size(head: bytes) -> tuple[int, int]:
    """Width and height of a WebP, from its first 30 bytes (RFC 9649).

    Libwebp's own answer comes only after it has set aside memory for the whole picture.

    Raises:
        ValueError: When the header is none.
    """
    form, data = head[12:16], head[20:30]
    if len(data) == 10 and form == b"VP8X":
        return 1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little")
    if len(data) == 10 and form == b"VP8L" and data[0] == 0x2F:
        bits = int.from_bytes(data[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if len(data) == 10 and form == b"VP8 " and data[3:6] == b"\x9d\x01\x2a":
        return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF
    raise ValueError("not a WebP header")
