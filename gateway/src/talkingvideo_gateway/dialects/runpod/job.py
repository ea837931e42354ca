"""A job: one video, or the videos of a batch, under one id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from talkingvideo_api.conditions import Phase
from talkingvideo_gateway.videos.object import State, VideoObject

MILLISECONDS = 1_000


@dataclass(frozen=True)
class Job:
    """What an id stands for.

    Attributes:
        id: The id.
        videos: Its videos in the order in which they were asked for; at least one.
    """

    id: str
    videos: tuple[VideoObject, ...]

    @property
    def is_batch(self) -> bool:
        """Whether it was asked for as a batch, be it of one."""
        return self.videos[0].batch == self.id

    @property
    def state(self) -> State:
        """How the job as a whole stands. A batch has succeeded when it has ended and any of its videos is there."""
        states = {video.state for video in self.videos}
        if not all(state.ended for state in states):
            return State.QUEUED if states == {State.QUEUED} else State.RUNNING
        order = (State.CANCELLED, State.SUCCEEDED, State.FAILED, State.TIMED_OUT)
        return next(state for state in order if state in states)

    @property
    def percent(self) -> int:
        """Progress of the whole in percent."""
        return sum(_percent(video) for video in self.videos) // len(self.videos)

    @property
    def current(self) -> VideoObject:
        """The first video that is being made; the first one where none is."""
        return next((video for video in self.videos if video.state is State.RUNNING), self.videos[0])

    @property
    def delay_ms(self) -> int | None:
        """How long it waited until its first video was begun; None before that."""
        delays = [delay for video in self.videos if (delay := _delay_seconds(video)) is not None]
        return round(min(delays) * MILLISECONDS) if delays else None

    @property
    def execution_ms(self) -> int | None:
        """How long its videos took together; None before the end, and where nothing was begun."""
        if not self.state.ended:
            return None
        times = [seconds for video in self.videos if (seconds := _execution_seconds(video)) is not None]
        return round(sum(times) * MILLISECONDS) if times else None

    @property
    def retries(self) -> int:
        """How often a stage or a chunk that is unfinished has failed and is tried again."""
        return sum(_failures(video) for video in self.videos)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was changed, ignored or assumed."""
        return tuple(dict.fromkeys(warning for video in self.videos for warning in video.warnings))

    @property
    def text(self) -> str:
        """How it stands, as a sentence."""
        video = self.current
        match self.state:
            case State.QUEUED:
                place = video.status.queue_position
                return "Waiting in the queue." if place is None else f"Waiting in the queue at place {place}."
            case State.RUNNING:
                return _running_text(video)
            case State.SUCCEEDED:
                return "Finished."
            case State.CANCELLED:
                return "Cancelled."
        failed = next((video.status.failure for video in self.videos if video.status.failure), None)
        return "Failed." if failed is None else failed.message


def jobs_of(videos: Sequence[VideoObject]) -> list[Job]:
    """The jobs that videos belong to, in the order of the first video of each."""
    groups: dict[str, list[VideoObject]] = {}
    for video in videos:
        groups.setdefault(video.batch or video.name, []).append(video)
    return [Job(name, tuple(group)) for name, group in groups.items()]


def _percent(video: VideoObject) -> int:
    return 100 if video.state is State.SUCCEEDED else video.status.progress or 0


def _running_text(video: VideoObject) -> str:
    chunks = video.status.chunks
    match video.status.phase:
        case Phase.STITCHING:
            return "Joining the chunks."
        case Phase.RENDERING if chunks is not None:
            return f"Rendering: {chunks.done} of {chunks.total} chunks are finished."
    return "Preparing the inputs."


def _delay_seconds(video: VideoObject) -> float | None:
    started, timings = video.status.start_time, video.status.timings
    if started is None:
        return None
    queued = timings.queued_seconds if timings and timings.queued_seconds else 0.0
    return max(0.0, (started - video.created).total_seconds()) + queued


def _execution_seconds(video: VideoObject) -> float | None:
    started, ended, timings = video.status.start_time, video.status.completion_time, video.status.timings
    if started is None or ended is None:
        return None
    queued = timings.queued_seconds if timings and timings.queued_seconds else 0.0
    return max(0.0, (ended - started).total_seconds() - queued)


def _failures(video: VideoObject) -> int:
    chunks = video.status.chunks
    return sum(entry.failures for entry in (*video.status.stage_attempts, *(chunks.failed if chunks else ())))
