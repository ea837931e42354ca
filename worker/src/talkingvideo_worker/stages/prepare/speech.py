"""The voices: recordings decoded or text spoken, brought to what engines hear, and laid out in time."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from talkingvideo_api.errors import StageError
from talkingvideo_api.inputs import InputKind, require_input
from talkingvideo_api.spec import Mode, Speaker
from talkingvideo_worker.engines.base import Track
from talkingvideo_worker.media.engine_audio import frames_of, write_engine_audio
from talkingvideo_worker.media.loudness import normalise_loudness
from talkingvideo_worker.media.soundtrack import TimedRecording
from talkingvideo_worker.media.tracks import mute_outside, pad_track, start_times, total_duration
from talkingvideo_worker.speech import Speech, UnknownVoiceError, speak
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.folders import input_path
from talkingvideo_worker.stages.prepare.turns import Spans, spans_of, spoken_within
from talkingvideo_worker.units import FRAME_RATE
from talkingvideo_worker.weights.location import KOKORO, weights_location


@dataclass(frozen=True)
class Voice:
    """One speaker in time.

    Attributes:
        recording: What is heard in the result: the user's own file or the spoken text, and when it begins.
        model: The same as engines hear it: 16 kHz mono WAV at -23 LUFS.
        loudness: LUFS of the recording; None for silence.
        phonemes: Spoken sounds with their start in the video in seconds, where the text is known.
        notes: For the user.
    """

    recording: TimedRecording
    model: Path
    loudness: float | None
    phonemes: tuple[tuple[float, str], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Timeline:
    """All voices in time.

    Attributes:
        voices: In the speakers' order; with turns only one.
        spans: With turns: when each speaker talks.
        seconds: Length of the delivered sound, exact.
        whole: Length of all that was given; more where the video is cut on purpose.
        frames: Frames of the video.
    """

    voices: tuple[Voice, ...]
    seconds: Fraction
    whole: Fraction
    frames: int
    spans: tuple[Spans, ...] | None = None


@dataclass(frozen=True)
class _Heard:
    """A speaker's recording before it has its place."""

    path: Path
    field: str
    model: Path
    duration: Fraction
    loudness: float | None
    phonemes: tuple[tuple[float, str], ...]
    notes: tuple[str, ...]


def hear(context: StageContext, folder: Path) -> Timeline:
    """Decode or speak every voice, and arrange them.

    Args:
        context: The stage's surroundings.
        folder: For intermediate files.

    Raises:
        StageError: E_INPUT_VALIDATION, naming the speaker's field.
    """
    speech = context.stage_input.spec.speech
    speaking = speech.speakers if speech.turns is None else speech.speakers[:1]
    heard = [_hear(context, folder, index, it) for index, it in enumerate(speaking)]
    arrangement, durations = context.stage_input.effective.arrangement, [it.duration for it in heard]
    whole = total_duration(arrangement, durations)
    if whole > context.stage_input.limits.seconds:
        message = (
            f"The speech lasts {float(whole):.0f} s; the profile allows {context.stage_input.limits.seconds:.0f} s."
        )
        raise StageError.invalid(message, "spec.speech.speakers")
    spans = None if speech.turns is None else spans_of(speech.turns, len(speech.speakers), whole)
    voices = tuple(_placed(it, start) for it, start in zip(heard, start_times(arrangement, durations), strict=True))
    frames = frames_of(whole)
    kept = _kept_frames(context, frames)
    return Timeline(voices, whole if kept == frames else Fraction(kept, FRAME_RATE), whole, kept, spans)


def write_tracks(timeline: Timeline, folder: Path) -> tuple[Track, ...]:
    """Write what engines hear: one WAV per speaker, each over the whole video."""
    tracks = _placed_tracks(timeline, folder) if timeline.spans is None else _turned_tracks(timeline, folder)
    for voice in timeline.voices:
        voice.model.unlink()
    return tracks


def _placed_tracks(timeline: Timeline, folder: Path) -> tuple[Track, ...]:
    """Each speaker's recording at its place."""
    tracks = []
    for index, voice in enumerate(timeline.voices):
        path = _track_file(folder, index)
        pad_track(voice.model, path, voice.recording.start, timeline.whole)
        tracks.append(Track(path, voice.phonemes))
    return tuple(tracks)


def _turned_tracks(timeline: Timeline, folder: Path) -> tuple[Track, ...]:
    """Of the one recording what each speaker says."""
    (voice,), tracks = timeline.voices, []
    for index, spans in enumerate(timeline.spans or ()):
        path = _track_file(folder, index)
        mute_outside(voice.model, path, spans)
        tracks.append(Track(path, spoken_within(voice.phonemes, spans)))
    return tuple(tracks)


def _track_file(folder: Path, index: int) -> Path:
    return folder / f"sound-{index}.wav"


def _hear(context: StageContext, folder: Path, index: int, speaker: Speaker) -> _Heard:
    path = f"spec.speech.speakers[{index}]"
    if speaker.text is not None:
        field, recording = f"{path}.text", folder / f"spoken-{index}.wav"
        spoken = _spoken(speaker.text, speaker.voice, recording, path)
    else:
        given = require_input(context.stage_input.spec, InputKind.AUDIO, index)
        field, recording, spoken = given.field, input_path(context.scratch, given), None
    plain, model = folder / f"plain-{index}.wav", folder / f"model-{index}.wav"
    sound = write_engine_audio(recording, plain, context.stage_input.limits, field)
    level = normalise_loudness(plain, model).integrated
    plain.unlink()
    phonemes, notes = (spoken.phonemes, spoken.notes) if spoken else ((), ())
    return _Heard(recording, field, model, sound.duration, level, phonemes, (*notes, *sound.notes))


def _spoken(text: str, voice: str | None, recording: Path, speaker: str) -> Speech:
    try:
        return speak(text, voice, recording, weights_location() / KOKORO)
    except UnknownVoiceError as error:
        raise StageError(error.code, error.message, field=f"{speaker}.voice") from error
    except StageError as error:
        raise StageError(error.code, error.message, field=f"{speaker}.text", retryable=error.retryable) from error


def _placed(heard: _Heard, start: Fraction) -> Voice:
    phonemes = tuple((round(second + float(start), 3), name) for second, name in heard.phonemes)
    return Voice(TimedRecording(heard.path, heard.field, start), heard.model, heard.loudness, phonemes, heard.notes)


def _kept_frames(context: StageContext, frames: int) -> int:
    """The frames that are rendered: all, unless somebody asked for fewer."""
    effective = context.stage_input.effective
    clip = effective.window_frames if effective.mode is Mode.CLIP else frames
    return min(frames, clip, effective.max_frames or frames)
