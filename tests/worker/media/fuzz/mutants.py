"""Damages files: deterministic, from a number."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .seeds import Kind, Seed

NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Lengths and counts at which programs go wrong."""


@dataclass(frozen=True)
class Mutant:
    """A damaged file.

    Attributes:
        number: Makes it again, from the same seeds.
        name: Its seed, and what was done to it.
        kind: How it is used.
        content: Its bytes.
    """

    number: int
    name: str
    kind: Kind
    content: bytes


def make_mutant(seeds: Sequence[Seed], number: int) -> Mutant:
    """The mutant with a number."""
    chance = random.Random(number)
    seed = chance.choice(seeds)
    content, done = bytearray(seed.content), []
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        damage = chance.choice(DAMAGES)
        content = damage(content, chance, seeds)
        done.append(damage.__name__)
    return Mutant(number, f"{seed.name} {'+'.join(done)}", seed.kind, bytes(content))


def make_mutants(seeds: Sequence[Seed], first: int, count: int) -> Iterator[Mutant]:
    """Mutants with consecutive numbers."""
    return (make_mutant(seeds, number) for number in range(first, first + count))


Damage = Callable[[bytearray, random.Random, Sequence[Seed]], bytearray]


def flipped(content: bytearray, chance: random.Random, _: Sequence[Seed]) -> bytearray:
    """A few bytes, most of them in the header."""
    for _each in range(chance.choice((1, 2, 8, 64))):
        content[_place(content, chance)] = chance.randrange(256)
    return content


def numbered(content: bytearray, chance: random.Random, _: Sequence[Seed]) -> bytearray:
    """A length or a count."""
    form = chance.choice((">I", "<I", ">H", "<H", ">Q", "B"))
    size = struct.calcsize(form)
    place = min(_place(content, chance), max(0, len(content) - size))
    struct.pack_into(form, content, place, chance.choice(NUMBERS) & (1 << 8 * size) - 1) if len(
        content
    ) >= size else None
    return content


def cut(content: bytearray, chance: random.Random, _: Sequence[Seed]) -> bytearray:
    """A piece is missing, perhaps the end."""
    start = _place(content, chance)
    end = len(content) if chance.random() < 0.4 else start + _length(content, chance)
    return content[:start] + content[end:] or content[:1]


def repeated(content: bytearray, chance: random.Random, _: Sequence[Seed]) -> bytearray:
    """A piece comes several times."""
    start = _place(content, chance)
    piece = content[start : start + _length(content, chance)]
    return content[:start] + piece * chance.choice((2, 3, 50)) + content[start:]


def spliced(content: bytearray, chance: random.Random, seeds: Sequence[Seed]) -> bytearray:
    """The end is that of another file."""
    other = chance.choice(seeds).content
    return content[: _place(content, chance)] + other[chance.randrange(len(other)) :]


def nested(content: bytearray, chance: random.Random, _: Sequence[Seed]) -> bytearray:
    """Boxes in boxes: a piece with many headers of the kind that the file has."""
    start = _place(content, chance)
    name = chance.choice(
        (b"moov", b"trak", b"udta", b"meta", b"ilst", b"LIST", b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67")
    )
    depth = chance.choice((2, 30, 2_000))
    boxes = b"".join(struct.pack(">I", 8 * (depth - level)) + name for level in range(depth))
    return content[:start] + boxes + content[start:]


def shuffled(content: bytearray, chance: random.Random, _: Sequence[Seed]) -> bytearray:
    """Two pieces change places."""
    one, other = sorted((_place(content, chance), _place(content, chance)))
    length = min(_length(content, chance), other - one)
    first, second = content[one : one + length], content[other : other + length]
    return content[:one] + second + content[one + length : other] + first + content[other + length :]


def restructured(content: bytearray, chance: random.Random, _: Sequence[Seed]) -> bytearray:
    """A box of an MP4 is missing, comes many times, or is inside of another one; all lengths are right."""
    boxes = list(_boxes(content, 0, len(content), ()))
    if not boxes:
        return content
    start, end, around = chance.choice(boxes)
    box = bytes(content[start:end])
    put = chance.choice(
        (b"", box * 2, box * 100, struct.pack(">I", 8 + len(box)) + b"udta" + box, chance.randbytes(8) + box)
    )
    changed = content[:start] + put + content[end:]
    for parent in around:
        length = struct.unpack_from(">I", content, parent)[0] + len(put) - len(box)
        struct.pack_into(">I", changed, parent, max(8, length) & 0xFFFFFFFF)
    return changed


def _boxes(
    content: bytearray, start: int, end: int, around: tuple[int, ...]
) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Every box: where it begins and ends, and where the boxes around it begin."""
    while start + 8 <= end:
        length, name = struct.unpack_from(">I4s", content, start)
        if length < 8 or start + length > end or not name.isalnum():
            return
        yield start, start + length, around
        if name in CONTAINERS and len(around) < MAX_DEPTH:
            yield from _boxes(content, start + 8, start + length, (*around, start))
        start += length


MAX_DEPTH = 8
CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts", b"udta", b"moof", b"traf", b"mvex")

DAMAGES: tuple[Damage, ...] = (
    *(flipped, flipped, numbered, numbered, numbered, cut, repeated, spliced, nested, shuffled),
    *(restructured, restructured),
)


def _place(content: bytearray, chance: random.Random) -> int:
    """Anywhere; half of the time among the first bytes, where formats describe themselves."""
    end = max(1, len(content))
    return chance.randrange(min(end, 2_000) if chance.random() < 0.5 else end)


def _length(content: bytearray, chance: random.Random) -> int:
    return chance.choice((1, 4, 16, 188, 1_000, max(1, len(content) // 3)))
