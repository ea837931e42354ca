"""Names of file formats, for refusals that say what a file is.

Neither a file's name nor its declared type counts: a text named ``voice.wav`` may be a playlist that makes FFmpeg open other
files. FFmpeg itself opens the formats of `DEMUXERS` only (``format_whitelist``). This module tells by the first bytes which
of them a file is, and what it is instead: a picture, a document, a playlist.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

HEAD = 4_096
"""Bytes that are examined."""

MAX_TAGS = 8
"""ID3 tags at the beginning of a file: one, or two where a program added its own. A file of nothing but tags is refused."""

DEMUXERS = {
    "wav": "a WAV file",
    "w64": "a Wave64 file",
    "aiff": "an AIFF file",
    "flac": "a FLAC file",
    "mp3": "an MP3 file",
    "aac": "an AAC file (ADTS)",
    "ogg": "an Ogg file",
    "mov": "an MP4 or QuickTime file",
    "matroska": "a Matroska or WebM file",
    "avi": "an AVI file",
    "mpegts": "an MPEG transport stream",
    "mpeg": "an MPEG program stream",
    "asf": "a Windows Media file",
    "amr": "an AMR file",
    "caf": "a Core Audio file",
    "flv": "a Flash video",
    "au": "an AU file",
}
"""Containers of sound and video that are read, by FFmpeg's names. Each holds its content itself: what refers to other
files (``hls``, ``concat``, ``dash``, ``sdp``) is not among them."""

PNG, JPEG, WEBP = "a PNG picture", "a JPEG picture", "a WebP picture"


@dataclass(frozen=True)
class FileFormat:
    """A format that was recognised.

    Attributes:
        label: Its name in messages, with an article.
        demuxer: FFmpeg's name for it; None where FFmpeg must not open it.
    """

    label: str
    demuxer: str | None = None


MEDIA_SIGNATURES = {
    "wav": rb"(RIFF|RF64|BW64)....WAVE",
    "w64": rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0",
    "aiff": rb"FORM....AIF[FC]",
    "flac": rb"fLaC",
    "ogg": rb"OggS",
    "mov": rb"....(ftyp|moov|mdat|wide|free|skip|pnot)",
    "matroska": rb"\x1a\x45\xdf\xa3",
    "avi": rb"RIFF....AVI ",
    "mpegts": rb"(G.{187}){5}|.{4}(G.{191}){5}",
    "mpeg": rb"\0\0\x01\xba",
    "asf": rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c",
    "amr": rb"#!AMR(-WB)?\n",
    "caf": rb"caff\0\x01",
    "flv": rb"FLV\x01",
    "au": rb"\.snd\0\0\0",
}
"""First bytes by demuxer. MP3 and AAC have no signature: FFmpeg recognises them by the lengths of their frames."""

OTHER_SIGNATURES = {
    PNG: rb"\x89PNG\r\n\x1a\n",
    JPEG: rb"\xff\xd8\xff",
    WEBP: rb"RIFF....WEBP",
    "a GIF picture": rb"GIF8[79]a",
    "a TIFF picture": rb"II[*+]\0|MM\0[*+]",
    "a BMP picture": rb"BM....\0\0\0\0....[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    "a HEIC picture": rb"....ftyp(hei[cxms]|mif1)",
    "an AVIF picture": rb"....ftypavi[fs]",
    "a JPEG XL picture": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "a JPEG 2000 picture": rb"\0\0\0\x0cjP  ",
    "an icon": rb"\0\0\x01\0",
    "a Photoshop file": rb"8BPS",
    "a PDF document": rb"%PDF-",
    "a MIDI file, which holds notes and no sound": rb"MThd",
    "an archive": rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf\x27\x1c|Rar!",
}

TEXTS = {
    "#extm3u": "an HLS playlist",
    "ffconcat": "an FFmpeg concat script",
    "v=0": "an SDP session description",
    "<!doctype html": "a web page",
    "<html": "a web page",
    "<svg": "an SVG drawing",
    "<mpd": "a DASH manifest",
    "{": "a JSON document",
    "[{": "a JSON document",
}
"""Beginnings of texts, in lower case."""

XML_ROOTS = ("<svg", "<mpd", "<html")

EMPTY = FileFormat("an empty file")
UNKNOWN = FileFormat("a file of an unknown kind")


def identify(path: Path) -> FileFormat | None:
    """Recognise a file by its first bytes behind ID3 tags; None where FFmpeg has to."""
    with path.open("rb") as file:
        file.seek(id3_length(file))
        head = file.read(HEAD)
    if not head:
        return EMPTY
    for label, signature in OTHER_SIGNATURES.items():
        if re.match(signature, head, re.DOTALL):
            return FileFormat(label)
    for demuxer, signature in MEDIA_SIGNATURES.items():
        if re.match(signature, head, re.DOTALL):
            return FileFormat(DEMUXERS[demuxer], demuxer)
    text = _as_text(head)
    return None if text is None else FileFormat(_text_label(text))


def id3_length(file: BinaryIO) -> int:
    """Bytes of the ID3v2 tags that a file begins with (id3.org, "ID3v2.4.0 Main Structure"); 0 where there are none.

    FFmpeg does not recognise every format behind a tag of more than 1 MB, as cover pictures make it.
    """
    length = 0
    for _ in range(MAX_TAGS):
        file.seek(length)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3" or any(byte & 0x80 for byte in head[6:10]):
            break
        footer = 10 if head[5] & 0x10 else 0
        length += 10 + footer + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
    return length


def demuxer_label(names: str) -> str:
    """The label of a demuxer by FFmpeg's names for it, such as ``matroska,webm``."""
    return next(DEMUXERS[name] for name in names.split(",") if name in DEMUXERS)


def _text_label(text: str) -> str:
    opening = text.lstrip("\ufeff \t\r\n").lower()
    for start, label in TEXTS.items():
        if opening.startswith(start):
            return label
    if opening.startswith(("<?xml", "<!--", "<!doctype")):
        return next((TEXTS[root] for root in XML_ROOTS if root in opening), "an XML document")
    lines = opening.splitlines()[:20]
    return TEXTS["ffconcat"] if any(line.lstrip().startswith(("file ", "file\t")) for line in lines) else "a text"


def _as_text(head: bytes) -> str | None:
    """The bytes as text if they are nothing but text."""
    encoding = "utf-16" if head[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        text = decoder.decode(head)
    except UnicodeDecodeError:
        return None
    return text if all(character.isprintable() or character in "\r\n\t\f\ufeff" for character in text) else None


def webp_size(head: bytes) -> tuple[int, int]:
    """Width and height of a WebP, from its first 30 bytes (RFC 9649).

    Libwebp reports them only after it has allocated memory for the whole picture.

    Raises:
        ValueError: When these bytes are not a WebP header.
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


_JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
"""A marker with a segment, or the end: neither a stuffed byte nor a restart (ITU-T T.81, B.1.1)."""

_JPEG_SCAN, _JPEG_END = 0xDA, 0xD9


def count_jpeg_scans(content: bytes, most: int) -> int:
    """Scans of a JPEG, from its markers; what comes behind its end does not count.

    Args:
        content: The file.
        most: Where counting ends.
    """
    scans, place = 0, 2
    while scans < most and (found := _JPEG_MARKER.search(content, place)) and content[found.end() - 1] != _JPEG_END:
        scans += content[found.end() - 1] == _JPEG_SCAN
        place = found.end() + max(2, int.from_bytes(content[found.end() : found.end() + 2], "big"))
    return scans
