"""Recognising MPEG audio, which has no header of its own: frames that follow each other at the lengths that they state."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

FRAMES_WANTED = 3
"""Frames in a row that have to fit; one sync word is found in any data."""

MPEG_1, MPEG_2, MPEG_2_5 = 0b11, 0b10, 0b00

RATES = {MPEG_1: (44_100, 48_000, 32_000), MPEG_2: (22_050, 24_000, 16_000), MPEG_2_5: (11_025, 12_000, 8_000)}
"""Samples per second (ISO/IEC 11172-3, 2.4.2.3, and 13818-3 for the lower ones)."""

BITRATES = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""kbit/s of the indices 1 to 14, by whether it is MPEG-1, and layer (same places)."""


class _Frame(NamedTuple):
    """A frame's header: bytes of the whole frame, and what all frames of a stream share."""

    length: int
    signature: tuple[int, ...]


def skip_id3(head: bytes) -> int:
    """Length of the ID3v2 tag (id3.org, "ID3v2.4.0 Main Structure"), 0 where there is none."""
    if len(head) < 10 or head[:3] != b"ID3" or any(byte & 0x80 for byte in head[6:10]):
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    footer = 10 if head[5] & 0x10 else 0
    return 10 + size + footer


def is_mpeg_audio(data: bytes) -> bool:
    """Whether the data begins with frames of MPEG audio, layers 1 to 3; zeros before them are passed over."""
    return _frames_fit(data.lstrip(b"\0"), _mpeg_frame)


def is_adts(data: bytes) -> bool:
    """Whether the data begins with ADTS frames of AAC."""
    return _frames_fit(data, _adts_frame)


def _frames_fit(data: bytes, frame_at: Callable[[bytes, int], _Frame | None]) -> bool:
    """Whether frames follow each other, all alike. A file may end after fewer than are wanted."""
    first = frame_at(data, 0)
    if first is None:
        return False
    offset = first.length
    for _ in range(FRAMES_WANTED - 1):
        if offset == len(data):
            return True
        following = frame_at(data, offset)
        if following is None or following.signature != first.signature:
            return False
        offset += following.length
    return True


def _mpeg_frame(data: bytes, offset: int) -> _Frame | None:
    header = data[offset : offset + 4]
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bitrate_index, rate_index, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version not in RATES or layer == 4 or bitrate_index in {0, 15} or rate_index == 3:
        return None
    rate = RATES[version][rate_index]
    bitrate = 1000 * BITRATES[version == MPEG_1, layer][bitrate_index - 1]
    if layer == 1:
        length = (12 * bitrate // rate + padding) * 4
    else:
        samples = 576 if layer == 3 and version != MPEG_1 else 1152
        length = samples // 8 * bitrate // rate + padding
    return _Frame(length, (version, layer, rate))


def _adts_frame(data: bytes, offset: int) -> _Frame | None:
    header = data[offset : offset + 7]
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return None
    rate_index = header[2] >> 2 & 15
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return _Frame(length, (header[1] & 8, header[2] >> 6, rate_index)) if rate_index < 13 and length > 7 else None
