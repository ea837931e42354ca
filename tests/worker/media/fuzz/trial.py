"""Uses a file as prepare does, and judges how that ends."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.profile import InputLimits
from talkingvideo_worker.faces.framing import crop_for
from talkingvideo_worker.media.confined import TASKS as TASKS_MODULE
from talkingvideo_worker.media.confined import ConfinedDecoders
from talkingvideo_worker.media.loudness import normalise_loudness
from talkingvideo_worker.media.picture import fit
from talkingvideo_worker.media.sandboxed import TASKS
from talkingvideo_worker.media.soundtrack import TimedRecording
from talkingvideo_worker.sandbox.client import Sandbox

from .mutants import Mutant
from .seeds import Kind

FIELD = "spec.the.field"
MAX_BYTES = 1_000_000_000
MAX_SECONDS = 60

WIDTH, HEIGHT, FRAMES = 128, 64, 25

assert TASKS  # the module that the children import can be imported


@dataclass
class Ends:
    """How trials ended.

    Attributes:
        words: Trials that ended with an error for people.
        used: Trials whose file could be used.
        failures: Numbers and names of the mutants that ended in another way, and how.
        traces: Exceptions without words of their own, which became "damaged", with the mutants' numbers.
        peak_bytes: The most memory of any child.
        cpu_seconds: The most computing time of any mutant.
    """

    words: int = 0
    used: int = 0
    failures: list[str] = field(default_factory=list)
    traces: dict[str, list[int]] = field(default_factory=dict)
    peak_bytes: int = 0
    cpu_seconds: float = 0.0


def try_all(mutants: Iterator[Mutant], folder: Path) -> Ends:
    """Use each of them."""
    ends = Ends()
    folder.mkdir(parents=True, exist_ok=True)
    with Sandbox(TASKS_MODULE, folder / "made") as sandbox, _traces_of(ends) as current:
        (folder / "made").mkdir(exist_ok=True)
        recorder = _Recorder(sandbox)
        media = ConfinedDecoders(recorder, folder / "made", InputLimits())
        for mutant in mutants:
            current[:] = [mutant.number]
            path = folder / "mutant"
            path.write_bytes(mutant.content)
            recorder.reset()
            problem = _use(media, mutant.kind, path, folder, ends)
            ends.peak_bytes = max(ends.peak_bytes, recorder.peak_bytes)
            ends.cpu_seconds = max(ends.cpu_seconds, recorder.used_seconds)
            if recorder.peak_bytes > MAX_BYTES:
                problem = f"{recorder.peak_bytes / 1e6:.0f} MB"
            if recorder.used_seconds > MAX_SECONDS:
                problem = f"{recorder.used_seconds:.0f} s"
            if problem:
                ends.failures.append(f"{mutant.number} ({mutant.name}): {problem}")
    return ends


def merged(parts: Sequence[Ends]) -> Ends:
    """The ends of several processes together."""
    whole = Ends()
    for part in parts:
        whole.words += part.words
        whole.used += part.used
        whole.failures += part.failures
        whole.peak_bytes = max(whole.peak_bytes, part.peak_bytes)
        whole.cpu_seconds = max(whole.cpu_seconds, part.cpu_seconds)
        for trace, numbers in part.traces.items():
            whole.traces.setdefault(trace, []).extend(numbers)
    return whole


class _Recorder(Sandbox):
    """A sandbox that adds up what the children of one mutant use."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.reset()

    def reset(self) -> None:
        self.peak_bytes, self.used_seconds = 0, 0.0

    @property
    def cpu_seconds(self) -> float:
        return self._sandbox.cpu_seconds

    def run(self, *arguments, **named):  # type: ignore[no-untyped-def]
        self._sandbox.ended = None
        try:
            return self._sandbox.run(*arguments, **named)
        finally:
            if ended := self._sandbox.ended:
                self.peak_bytes = max(self.peak_bytes, ended.peak_bytes)
                self.used_seconds += ended.cpu_seconds


def _use(media: ConfinedDecoders, kind: Kind, path: Path, folder: Path, ends: Ends) -> str | None:
    """Use a file in every way that it could be meant; returns what is wrong with how that ends."""
    uses = [_use_picture] if kind is Kind.PICTURE else [_use_sound] if kind is Kind.SOUND else [_use_video, _use_sound]
    problem = None
    for use in uses:
        try:
            use(media, path, folder)
            ends.used += 1
        except StageError as error:
            ends.words += 1
            if error.code is ErrorCode.INTERNAL or error.field is None:
                problem = f"{error.code}, field {error.field}: {error}"
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
    return problem


def _use_picture(media: ConfinedDecoders, path: Path, folder: Path) -> None:
    rgb = media.picture(path, FIELD).rgb
    media.mask(path, FIELD)
    fit(rgb, crop_for(rgb.shape[1], rgb.shape[0], WIDTH / HEIGHT, []), WIDTH, HEIGHT)


def _use_video(media: ConfinedDecoders, path: Path, folder: Path) -> None:
    rgb = media.first_frame(path, FIELD)
    size = rgb.shape[1], rgb.shape[0]
    crop = crop_for(*size, WIDTH / HEIGHT, [])
    fit(rgb, crop, WIDTH, HEIGHT)
    media.normalise_video(path, folder / "picture.mp4", (WIDTH, HEIGHT), crop, size, FRAMES, FIELD)


def _use_sound(media: ConfinedDecoders, path: Path, folder: Path) -> None:
    sound = media.engine_audio(path, folder / "sound.wav", FIELD)
    normalise_loudness(folder / "sound.wav", folder / "normal.wav")
    media.soundtrack([TimedRecording(path, FIELD, Fraction(0))], folder / "sound.m4a", -16.0, sound.duration)


@contextmanager
def _traces_of(ends: Ends) -> Iterator[list[int]]:
    """Collect what the sandbox logs about decoders that failed without words."""
    current: list[int] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines = record.getMessage().splitlines()
            place = next((line.strip() for line in reversed(lines) if "talkingvideo_worker/media" in line), "")
            ends.traces.setdefault(f"{lines[-1]} at {place}", []).extend(current)

    logger, collector = logging.getLogger("talkingvideo_worker.sandbox.client"), Collector()
    logger.addHandler(collector)
    logger.propagate = False
    try:
        yield current
    finally:
        logger.propagate = True
        logger.removeHandler(collector)
