"""The speech: recordings decoded or texts synthesized, converted to what engines read, and arranged in time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from talkingvideo_api.errors import StageError
from talkingvideo_api.inputs import InputKind, require_input
from talkingvideo_api.spec import Mode, Speaker
from talkingvideo_worker.engines.base import Track
from talkingvideo_worker.media.confined import ConfinedDecoders
from talkingvideo_worker.media.engine_audio import frames_of
from talkingvideo_worker.media.loudness import normalise_loudness
from talkingvideo_worker.media.soundtrack import TimedRecording
from talkingvideo_worker.media.tracks import mute_outside, pad_track, start_times, total_duration
from talkingvideo_worker.speech import SynthesizedSpeech, UnknownVoiceError, synthesize
from talkingvideo_worker.speech.weights import KOKORO
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.folders import input_path
from talkingvideo_worker.stages.prepare.turns import Phonemes, Spans, phonemes_within, spans_of
from talkingvideo_worker.units import FRAME_RATE
from talkingvideo_worker.weights.location import weights_location


@dataclass(frozen=True, kw_only=True)
class Recording(TimedRecording):
    """One speaker's recording: the user's file or the synthesized text, and when it starts.

    Attributes:
        engine_audio: The same sound as engines read it: 16 kHz mono WAV at -23 LUFS.
        duration: Seconds, exact.
        loudness: LUFS; None for silence.
        phonemes: Start in seconds from the start of the recording and mnemonic of each phoneme, where the text is known.
        warnings: What the user should know, as sentences.
    """

    engine_audio: Path
    duration: Fraction
    loudness: float | None
    phonemes: Phonemes = ()
    warnings: tuple[str, ...] = ()

    @property
    def phonemes_in_video(self) -> Phonemes:
        """The phonemes with their start in seconds from the start of the video."""
        return tuple((round(second + float(self.start), 3), name) for second, name in self.phonemes)


@dataclass(frozen=True)
class Timeline:
    """All recordings, arranged in time.

    Attributes:
        recordings: In the speakers' order; with turns, only one.
        spans: With turns: when each speaker talks.
        seconds: Length of the delivered sound, exact.
        whole: Length of everything that was given; longer than ``seconds`` if the video is cut on purpose.
        frames: Frames of the video.
    """

    recordings: tuple[Recording, ...]
    seconds: Fraction
    whole: Fraction
    frames: int
    spans: tuple[Spans, ...] | None = None


def build_timeline(context: StageContext, media: ConfinedDecoders, folder: Path) -> Timeline:
    """Decode or synthesize every speaker's recording, and arrange the recordings in time.

    Args:
        context: The stage's input, stores and folders.
        media: Opens the recordings.
        folder: For intermediate files.

    Raises:
        StageError: E_INPUT_VALIDATION, naming the speaker's field.
    """
    speech = context.stage_input.spec.speech
    speakers = speech.speakers if speech.turns is None else speech.speakers[:1]
    recordings = [_record(context, media, folder, index, speaker) for index, speaker in enumerate(speakers)]
    arrangement, durations = context.stage_input.effective.arrangement, [it.duration for it in recordings]
    whole = total_duration(arrangement, durations)
    if whole > context.stage_input.limits.seconds:
        message = (
            f"The speech lasts {float(whole):.0f} s; the profile allows {context.stage_input.limits.seconds:.0f} s."
        )
        raise StageError.invalid(message, "spec.speech.speakers")
    spans = None if speech.turns is None else spans_of(speech.turns, len(speech.speakers), whole)
    arranged = tuple(
        replace(it, start=start) for it, start in zip(recordings, start_times(arrangement, durations), strict=True)
    )
    frames = frames_of(whole)
    kept = _kept_frames(context, frames)
    return Timeline(arranged, whole if kept == frames else Fraction(kept, FRAME_RATE), whole, kept, spans)


def write_tracks(timeline: Timeline, folder: Path) -> tuple[Track, ...]:
    """Write the sound that engines read: one WAV per speaker, each as long as the whole video."""
    tracks = _write_arranged(timeline, folder) if timeline.spans is None else _write_turns(timeline, folder)
    for recording in timeline.recordings:
        recording.engine_audio.unlink()
    return tracks


def _write_arranged(timeline: Timeline, folder: Path) -> tuple[Track, ...]:
    """Each speaker's recording at its time."""
    tracks = []
    for index, recording in enumerate(timeline.recordings):
        path = _track_file(folder, index)
        pad_track(recording.engine_audio, path, recording.start, timeline.whole)
        tracks.append(Track(path, recording.phonemes_in_video))
    return tuple(tracks)


def _write_turns(timeline: Timeline, folder: Path) -> tuple[Track, ...]:
    """For each speaker, the part of the one recording in which they talk."""
    (recording,), tracks = timeline.recordings, []
    for index, spans in enumerate(timeline.spans or ()):
        path = _track_file(folder, index)
        mute_outside(recording.engine_audio, path, spans)
        tracks.append(Track(path, phonemes_within(recording.phonemes_in_video, spans)))
    return tuple(tracks)


def _track_file(folder: Path, index: int) -> Path:
    return folder / f"sound-{index}.wav"


def _record(context: StageContext, media: ConfinedDecoders, folder: Path, index: int, speaker: Speaker) -> Recording:
    """A speaker's recording, not yet arranged: it starts at 0."""
    speaker_path = f"spec.speech.speakers[{index}]"
    if speaker.text is not None:
        field, path = f"{speaker_path}.text", folder / f"synthesized-{index}.wav"
        synthesized = _synthesize(speaker.text, speaker.voice, path, speaker_path)
    else:
        given = require_input(context.stage_input.spec, InputKind.AUDIO, index)
        field, path, synthesized = given.field, input_path(context.scratch, given), None
    decoded, engine_audio = folder / f"decoded-{index}.wav", folder / f"engine-{index}.wav"
    sound = media.engine_audio(path, decoded, field)
    loudness = normalise_loudness(decoded, engine_audio).integrated
    decoded.unlink()
    phonemes, warnings = (synthesized.phonemes, synthesized.warnings) if synthesized else ((), ())
    return Recording(
        path=path,
        field=field,
        engine_audio=engine_audio,
        duration=sound.duration,
        loudness=loudness,
        phonemes=phonemes,
        warnings=(*warnings, *sound.warnings),
    )


def _synthesize(text: str, voice: str | None, out: Path, speaker: str) -> SynthesizedSpeech:
    try:
        return synthesize(text, voice, out, weights_location() / KOKORO)
    except UnknownVoiceError as error:
        raise StageError(error.code, error.message, field=f"{speaker}.voice") from error
    except StageError as error:
        raise StageError(error.code, error.message, field=f"{speaker}.text", retryable=error.retryable) from error


def _kept_frames(context: StageContext, frames: int) -> int:
    """The frames that are rendered: all of them, unless the spec asks for fewer."""
    effective = context.stage_input.effective
    clip = effective.window_frames if effective.mode is Mode.CLIP else frames
    return min(frames, clip, effective.max_frames or frames)
