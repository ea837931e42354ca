"""Reading what a less trusted container or pod wrote."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from talkingvideo_api.plan import PlannedFile, PlannedTrack
from talkingvideo_worker.untrusted import UntrustedError, copy_plain, parse, read_arrays, read_file, read_plain

CONTENT = b"picture"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(CONTENT)
    folder = tmp_path / "prepared"
    (folder / "engine").mkdir(parents=True)
    (folder / "engine" / "a.npz").write_bytes(CONTENT)
    return folder


def test_a_plain_file_is_copied_and_its_size_returned(folder: Path, tmp_path: Path) -> None:
    assert copy_plain(folder, "engine/a.npz", tmp_path / "copy", SHA256, 7) == 7
    assert (tmp_path / "copy").read_bytes() == CONTENT


ATTACKS: dict[str, Callable[[Path], object]] = {
    "link to a file": lambda path: path.symlink_to("../../secret"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "pipe": lambda path: os.mkfifo(path),
    "folder": lambda path: path.mkdir(),
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "link to the environment": lambda path: path.symlink_to("/proc/self/environ"),
    "nothing": lambda path: None,
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
def test_what_is_no_plain_file_is_refused(folder: Path, tmp_path: Path, attack: Callable[[Path], object]) -> None:
    attack(folder / "engine" / "b")
    with pytest.raises(UntrustedError):
        copy_plain(folder, "engine/b", tmp_path / "copy", SHA256, 7)
    with pytest.raises(UntrustedError):
        read_plain(folder, "engine/b", 7)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "engine/../../secret", "a\0b", "", "link/secret"])
def test_no_name_leads_out_of_the_folder(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / "link").symlink_to("..")
    with pytest.raises(UntrustedError):
        copy_plain(folder, name, tmp_path / "copy", SHA256, 7)


def test_other_content_and_more_content_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UntrustedError, match="other content"):
        copy_plain(folder, "engine/a.npz", tmp_path / "copy", "0" * 64, 7)
    for read in (
        lambda: copy_plain(folder, "engine/a.npz", tmp_path / "copy", SHA256, 6),
        lambda: read_plain(folder, "engine/a.npz", 6),
        lambda: read_file(folder / "engine/a.npz", 6),
    ):
        with pytest.raises(UntrustedError, match="larger than 6 bytes"):
            read()


def test_an_error_names_fields_and_never_values() -> None:
    with pytest.raises(UntrustedError, match="sha256") as refusal:
        parse(PlannedFile, b'{"sha256": "s3cr3t", "usedBy": ["render"]}')
    assert "s3cr3t" not in str(refusal.value)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1", "1.5", "1e400"])
def test_a_speakers_rectangle_lies_in_the_picture(number: str) -> None:
    with pytest.raises(UntrustedError, match="region"):
        parse(PlannedTrack, f'{{"file": "sound-0.wav", "region": [0, 0, {number}, 1]}}'.encode())


FORGED_PLANS = """
import itertools, resource, sys
from pathlib import Path
from talkingvideo_api.plan import Plan
from talkingvideo_worker.untrusted import UntrustedError, parse

SIZE = 4 << 20
def filled(before, item, after):
    return (before + item * ((SIZE - len(before) - len(after)) // len(item))).rstrip(b",") + after

keys = b"".join(b'"%x":0,' % number for number in range(440_000))[:-1]
documents = [
    filled(b'{"tracks":[{"file":"a","phonemes":[', b"0,", b"]}]}"),
    filled(b'{"chunks":[{"windows":[', b"0,", b"]}]}"),
    filled(b'{"chunks":[', b"{},", b"]}"),
    filled(b'{"chunks":[', b'{"a":0,"b":0},', b"]}"),
    filled(b'{"files":{"a":{"usedBy":[', b"0,", b"]}}}"),
    filled(b'{"warnings":[', b"0,", b"]}"),
    filled(b'{"found":{"a":[', b"[],", b"]}}"),
    b'{"files":{' + keys + b"}}",
    b"{" + keys + b"}",
    b'{"found":{"a":' + b"[" * 2_000_000 + b"}}",
    b"[" * SIZE,
    b'"' + b"x" * SIZE,
]
address_space = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (address_space + (768 << 20),) * 2)
for document in documents:
    try:
        parse(Plan, document)
    except UntrustedError:
        print("refused")
"""


def test_what_is_wrong_with_a_document_takes_no_gigabytes_to_say() -> None:
    """Each error of pydantic's reader of JSON kept a copy of the whole document: 2.5 GB for a plan of 4 MB."""
    done = subprocess.run([sys.executable, "-c", FORGED_PLANS], capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["refused"] * 12, "")


def saved(path: Path, **arrays: np.ndarray) -> Path:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=True, **arrays)
    return path


def header(shape: str, descr: str = "'<f4'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (117 - len(text)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def zipped(path: Path, content: bytes, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("state.npy", content)
    return path


def test_arrays_come_back_as_they_were_saved(tmp_path: Path) -> None:
    state: dict[str, Any] = {
        "latents": np.arange(12, dtype=np.float32).reshape(3, 4),
        "columns": np.asfortranarray(np.arange(12, dtype=np.float16).reshape(3, 4)),
        "frame": np.array(7),
        "mask": np.array([True, False]),
        "nothing": np.zeros((0, 3)),
    }
    found = read_arrays(saved(tmp_path / "state.npz", **state), 10_000)
    assert found.keys() == state.keys()
    assert all((found[name] == state[name]).all() and found[name].dtype == state[name].dtype for name in state)
    found["latents"] += 1


def array_bytes() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(50_000_000, np.uint8))
    return file.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "(",
        "-" * 9_000 + "1",
        "[" * 5_000,
        "\t\n  x\n y",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 5_000 + ",), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1, " * 65 + "), }\n",
        "{'descr': '<f3', 'fortran_order': False, 'shape': (1,), }\n",
        "{'descr': '|V0', 'fortran_order': False, 'shape': (1000000000000,), }\n",
        "{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000,), }\n",
        "{'descr': '<M8[1000000000000000000000Y]', 'fortran_order': False, 'shape': (1,), }\n",
        "{'descr': [('a', '<f4', (100000, 100000))], 'fortran_order': False, 'shape': (1,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1L,), }\n",
        "",
    ],
    ids=lambda text: text[:50],
)
@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_header_is_not_evaluated(tmp_path: Path, text: str, version: int) -> None:
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    zipped(tmp_path / "state.npz", b"\x93NUMPY" + bytes([version, 0]) + length + text.encode() + bytes(4))
    with pytest.raises(UntrustedError):
        read_arrays(tmp_path / "state.npz", 100_000)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: saved(path, state=np.array([object()], dtype=object)),
        lambda path: zipped(path, array_bytes(), zipfile.ZIP_DEFLATED),
        lambda path: zipped(path, header("(1000000000000,)")),
        lambda path: zipped(path, header("(-1, 4)")),
        lambda path: zipped(path, header("(2,)", "'|O'") + b"cos\nsystem\n"),
        lambda path: zipped(path, b"cos\nsystem\n(S'touch /tmp/ran'\ntR."),
        lambda path: path.write_bytes(b"PK\x03\x04 and nothing more"),
        lambda path: path.write_bytes(b""),
        lambda path: saved(path, state=np.zeros(100_000)),
    ],
    ids=["objects", "compressed", "huge header", "negative", "object header", "pickle", "half a zip", "empty", "large"],
)
def test_no_state_runs_code_or_takes_more_memory_than_its_file(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "state.npz")
    with pytest.raises(UntrustedError):
        read_arrays(tmp_path / "state.npz", 100_000)
