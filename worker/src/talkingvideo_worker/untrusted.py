"""How what comes from a less trusted container, pod or object is read: bounded, as plain files, by digest, typed.

``process`` parses strangers' media, and every pod of a namespace writes to the same store. Whoever takes one of them over
chooses what the others read: files, plans, reports, states. So nothing is followed that could lead elsewhere, nothing is
read without a bound, content is compared with a digest while it is read, and nothing is ever unpickled, extracted or
evaluated.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from talkingvideo_clients.stores.beneath import open_plain

PIECE = 1 << 20
"""Bytes that are read at a time."""

ARRAY_MAGIC = b"\x93NUMPY\x01\x00"
ARRAY_HEADER = re.compile(
    rb"\{'descr': '([<>|][biufcSU][0-9]{1,9})', 'fortran_order': (True|False), 'shape': \(([0-9, ]{0,200})\), \} *\n"
)
"""How numpy's ``savez`` writes arrays of numbers and texts (numpy.org, "The NPY format", version 1.0)."""

M = TypeVar("M", bound=BaseModel)


class UntrustedError(Exception):
    """Content is not what this project writes. The text completes a sentence whose subject is the content's name."""


def read_file(path: Path, limit: int) -> bytes:
    """Read a file of at most so many bytes, through links (the kubelet makes every key of a ConfigMap one).

    Raises:
        UntrustedError: It is larger.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return _read(file, limit)


def read_plain(root: Path, name: str, limit: int) -> bytes:
    """Read a plain file of at most so many bytes below a folder.

    Raises:
        UntrustedError: It is larger, missing, or no plain file.
    """
    with _opened(root, name) as file:
        return _read(file, limit)


def copy_plain(root: Path, name: str, destination: Path, sha256: str, limit: int) -> int:
    """Copy a plain file below a folder; its digest is computed from the bytes that are copied.

    Args:
        root: The folder, which is trusted; nothing in it is.
        name: Path below it.
        destination: Where to copy it, in a folder of this process's own.
        sha256: The digest that it must have.
        limit: Most bytes.

    Returns:
        Bytes of the file.

    Raises:
        UntrustedError: It is larger, missing, no plain file, or has another digest.
    """
    size, digest = 0, hashlib.sha256()
    with _opened(root, name) as source, destination.open("wb") as copy:
        while piece := source.read(PIECE):
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            digest.update(piece)
            copy.write(piece)
    if digest.hexdigest() != sha256:
        raise UntrustedError("has other content than its digest says")
    return size


@contextmanager
def _opened(root: Path, name: str) -> Iterator[BinaryIO]:
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise UntrustedError("is not below its folder")
    try:
        descriptor = open_plain(root, path)
    except FileNotFoundError:
        raise UntrustedError("is missing") from None
    except OSError:
        raise UntrustedError("is not a plain file") from None
    with os.fdopen(descriptor, "rb") as file:
        yield file


def _read(file: BinaryIO, limit: int) -> bytes:
    content = file.read(limit + 1)
    if len(content) > limit:
        raise _too_large(limit)
    return content


def _too_large(limit: int) -> UntrustedError:
    return UntrustedError(f"is larger than {limit:,} bytes")


def parse(model: type[M], content: bytes) -> M:
    """Parse JSON as a type. The error names fields, never values: these may be anything, even secrets.

    The document is read before it is validated: pydantic's reader of JSON keeps a copy of the whole document with each error.

    Raises:
        UntrustedError: It is no JSON, or not of the type.
    """
    try:
        return model.model_validate(from_json(content))
    except ValidationError as error:
        found = error.errors(include_input=False, include_context=False, include_url=False)[:3]
        places = (".".join(str(part)[:40] for part in each["loc"]) or each["type"] for each in found)
        raise UntrustedError(f"is not valid ({', '.join(places)})") from None
    except ValueError:
        raise UntrustedError("is no JSON document") from None


def read_arrays(path: Path, limit: int) -> dict[str, NDArray[Any]]:
    """Read the arrays of an ``.npz`` file as numpy's ``savez`` writes it: stored, not compressed, without objects.

    Args:
        path: The file.
        limit: Most bytes of all arrays together; sizes are compared with those of the file, which no header can exceed.

    Raises:
        UntrustedError: It is larger or something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _require_stored(archive.infolist(), path.stat().st_size, limit)
            return {each.filename.removesuffix(".npy"): _read_array(archive, each) for each in archive.infolist()}
    except (ValueError, TypeError, OSError, EOFError, KeyError, NotImplementedError, RuntimeError, zipfile.BadZipFile):
        raise UntrustedError("is damaged") from None


def _require_stored(members: list[zipfile.ZipInfo], size: int, limit: int) -> None:
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise UntrustedError("is compressed, which this project's files never are")
    if sum(member.file_size for member in members) > min(size, limit):
        raise _too_large(min(size, limit))


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """One array, whose header is compared with the content's size.

    Numpy's own reader evaluates the header as an expression of Python, which ends in as many ways as there are expressions.
    """
    content = archive.read(member)
    start = len(ARRAY_MAGIC) + 2
    end = start + int.from_bytes(content[len(ARRAY_MAGIC) : start], "little")
    header = ARRAY_HEADER.fullmatch(content[start:end])
    if not content.startswith(ARRAY_MAGIC) or header is None:
        raise UntrustedError("has a header that this project's files never have")
    shape = tuple(int(number) for number in header[3].split(b",") if number.strip())
    dtype = np.dtype(header[1].decode())
    if not dtype.itemsize or math.prod(shape) * dtype.itemsize != len(content) - end:
        raise UntrustedError("has a header that does not fit its content")
    buffer = bytearray(memoryview(content)[end:])
    return np.ndarray(shape, dtype, buffer, order="F" if header[2] == b"True" else "C")
