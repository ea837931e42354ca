"""What holds whatever happens, in any order, and wherever the operator is killed."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.operator.fake_cluster import FakeCluster, config, spec

from talkingvideo_api.conditions import ENDED_PHASES, UNSUCCESSFUL_PHASES, Phase, Reason
from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import decode_bitmap

INDEX = st.integers(0, 1_000)


class StoringCluster(FakeCluster):
    """A cluster whose prepare finds the chunks that were rendered before."""

    def report(self, job: Any) -> Any:
        missing = sorted(set(self.missing or ()) - self.in_store)
        return self.success_report(job, missing)

    def lose(self, chunk: int) -> None:
        self.in_store.discard(chunk)
        self.missing = (*(self.missing or ()), chunk)


class VideoLife(RuleBasedStateMachine):
    """Users, the cluster and crashes, at random."""

    @initialize(
        chunks=st.integers(1, 6),
        parallel=st.integers(1, 4),
        reused=st.integers(0, 5),
        chained=st.booleans(),
        back_off=st.sampled_from([0, 10]),
    )
    def begin(self, chunks: Any, parallel: Any, reused: Any, chained: Any, back_off: Any) -> None:
        self.parallel = parallel
        missing = tuple(range(min(reused, chunks), chunks))
        profile = {"prepare": {"attempts": 3}, "render": {"attempts": 3}}
        self.cluster = StoringCluster(
            settings=config(maxInterruptions=1_000, backOff={"firstSeconds": back_off}, profile=profile),
            document=spec(chunking={"maxParallel": parallel}, prompt="0"),
            chunks=chunks,
            missing=missing,
            chained=chained,
        )
        self.prompt = 0
        self.tokens = 0
        self.finished: set[int] = set()
        self.ended_in = ""

    # --- the operator -------------------------------------------------------------------------------------------------

    @rule()
    def reconcile(self) -> None:
        self.cluster.wait(1)
        self._watch_starts(lambda: self.cluster.reconcile())

    @rule(after=st.integers(0, 5))
    def crash(self, after: Any) -> None:
        self.cluster.wait(1)
        self._watch_starts(lambda: self.cluster.reconcile(crash_after=after))

    def _watch_starts(self, act: Any) -> None:
        before = set(self.cluster.jobs)
        healthy = {job.name for job in self._own() if self.cluster.pod_of(job).deletion is None}
        ended = self.cluster.phase in ENDED_PHASES and not self._reopens()
        act()
        reasons = {event.reason for event in self.cluster.decision.events}
        lost = any(event.message.startswith("the video is prepared again") for event in self.cluster.decision.events)
        if lost or Reason.RETRY_REQUESTED in reasons:
            self.finished = set()
        fresh = [job for name, job in self.cluster.jobs.items() if name not in before]
        for job in fresh:
            assert not ended, "a terminal revision creates nothing more"
            assert not self.cluster.video.spec.suspend, "a suspended video creates nothing"
            assert not self.cluster.video.spec.cancel, "a cancelled video creates nothing"
            assert job.chunk not in self.finished, "a finished chunk is never rendered again"
        if not lost and self.cluster.decision.status.phase not in ENDED_PHASES | {Phase.SUSPENDED}:
            assert healthy <= set(self.cluster.jobs), "healthy work is not ended"

    def _own(self) -> Any:
        return [job for job in self.cluster.active() if job.revision == self.cluster.video.revision]

    def _reopens(self) -> Any:
        video = self.cluster.video
        asked = video.retry is not None and video.retry != video.status.observed_retry
        return video.status.revision != video.revision or (asked and self.cluster.phase in UNSUCCESSFUL_PHASES)

    # --- the cluster --------------------------------------------------------------------------------------------------

    def _pick(self, index: Any) -> Any:
        jobs = [job for job in self.cluster.active() if self.cluster.pod_of(job).phase in ("Pending", "Running")]
        return jobs[index % len(jobs)] if jobs else None

    @rule(index=INDEX)
    def pod_runs(self, index: Any) -> None:
        if job := self._pick(index):
            self.cluster.run_pod(job)

    @rule(index=INDEX)
    def pod_succeeds(self, index: Any) -> None:
        if job := self._pick(index):
            self.cluster.succeed_pod(job)

    @rule(index=INDEX)
    def job_completes(self, index: Any) -> None:
        done = [job for job in self.cluster.active() if self.cluster.pod_of(job).phase == "Succeeded"]
        if done:
            self.cluster.complete_job(done[index % len(done)])

    @rule(index=INDEX)
    def all_goes_well(self, index: Any) -> None:
        if job := self._pick(index):
            self.cluster.finish(job)

    @rule(index=INDEX, code=st.sampled_from([ErrorCode.FFMPEG, ErrorCode.OOM, ErrorCode.INPUT_VALIDATION]))
    def job_fails(self, index: Any, code: Any) -> None:
        if job := self._pick(index):
            self.cluster.fail(job, code)

    @rule(index=INDEX)
    def the_store_has_lost_files(self, index: Any) -> None:
        job = self._pick(index)
        if job and job.stage is not Stage.PREPARE:
            if job.stage is Stage.STITCH:
                self.cluster.lose(index % self.cluster.chunks)
            self.cluster.report_lost_files(job)

    @rule(index=INDEX)
    def pod_is_evicted(self, index: Any) -> None:
        if job := self._pick(index):
            self.cluster.evict(job)

    @rule(index=INDEX)
    def node_is_lost(self, index: Any) -> None:
        if job := self._pick(index):
            self.cluster.lose_node(job)

    @rule(index=INDEX)
    def a_job_is_deleted(self, index: Any) -> None:
        if self.cluster.jobs:
            names = sorted(self.cluster.jobs)
            self.cluster.delete_job(names[index % len(names)])

    @rule(index=INDEX)
    def a_finished_pod_is_collected(self, index: Any) -> None:
        jobs = {job.uid for job in self.cluster.jobs.values() if job.complete or job.failed}
        pods = [uid for uid, pod in self.cluster.pods.items() if pod.job_uid in jobs]
        if pods:
            del self.cluster.pods[pods[index % len(pods)]]

    @rule(seconds=st.sampled_from([1, 15, 70, 400]))
    def time_passes(self, seconds: Any) -> None:
        self.cluster.wait(seconds)

    # --- the user -----------------------------------------------------------------------------------------------------

    @rule()
    def suspend_or_resume(self) -> None:
        self._edit(suspend=not self.cluster.video.spec.suspend)

    @rule()
    def cancel_or_take_it_back(self) -> None:
        self._edit(cancel=not self.cluster.video.spec.cancel)

    @precondition(lambda self: self.prompt < 2)
    @rule()
    def edit(self) -> None:
        self.prompt += 1
        self.finished = set()
        self._edit()

    @rule()
    def ask_for_a_retry(self) -> None:
        self.tokens += 1
        self.cluster.retry(str(self.tokens))

    def _edit(self, **changes: bool) -> None:
        retry = self.cluster.video.retry
        self.cluster.edit({**self.cluster.document, "prompt": str(self.prompt), **changes})
        if retry:
            self.cluster.retry(retry)

    # --- what always holds --------------------------------------------------------------------------------------------

    @invariant()
    def no_two_jobs_do_the_same_work(self) -> None:
        work = [(job.stage, job.chunk) for job in self._own()]
        assert len(work) == len(set(work))

    @invariant()
    def never_more_pods_work_than_allowed(self) -> None:
        own = [
            job
            for job in self._own()
            if job.stage is Stage.RENDER and self.cluster.pod_of(job).phase in ("Pending", "Running")
        ]
        assert len(own) <= self.parallel

    @invariant()
    def chained_chunks_are_rendered_one_at_a_time_and_in_order(self) -> None:
        if not self.cluster.chained:
            return
        own = [
            job
            for job in self._own()
            if job.stage is Stage.RENDER and self.cluster.pod_of(job).phase in ("Pending", "Running")
        ]
        assert len(own) <= 1
        before = set(range(own[0].chunk or 0)) if own else set()
        assert before <= self.cluster.in_store | self.cluster.reused, "a chunk continues a chunk that does not exist"

    @invariant()
    def finished_chunks_stay_finished(self) -> None:
        status = self.cluster.status
        if status.revision != self.cluster.video.revision or status.chunks is None:
            return
        finished = set(decode_bitmap(status.chunks.finished, status.chunks.total))
        assert self.finished <= finished
        assert status.chunks.done == len(finished)
        self.finished = finished

    @invariant()
    def exactly_one_of_the_states_holds(self) -> None:
        if self.cluster.status.phase is None:
            return
        true = {c.type.value for c in self.cluster.status.conditions if c.status == "True"}
        ended = ({"Ready", "Complete"}, {"Stalled", "Failed"}, {"Stalled", "Cancelled"})
        assert true in (*ended, {"Reconciling"}, {"Suspended"})

    @invariant()
    def a_status_says_when_it_ended_and_only_then(self) -> None:
        assert (self.cluster.status.completion_time is not None) == (self.cluster.phase in ENDED_PHASES)

    @invariant()
    def status_can_be_read_again(self) -> None:
        assert len(self.cluster.status.to_json()) < 64 * 1024

    def teardown(self) -> None:
        """In a healthy cluster every video ends."""
        if not hasattr(self, "cluster"):
            return
        self._edit(suspend=False, cancel=False)
        if self.cluster.phase == "Cancelled":
            self.ask_for_a_retry()
        for _ in range(60):
            self.reconcile()
            if self.cluster.phase in ("Succeeded", "Failed"):
                break
            self.cluster.wait(400)
            for job in self.cluster.active():
                pod = self.cluster.pod_of(job)
                if pod.deletion is None:
                    self.cluster.finish(job) if pod.phase in ("Pending", "Running") else self.cluster.complete_job(job)
        assert self.cluster.phase in ("Succeeded", "Failed")
        self.cluster.reconcile()
        if self.cluster.phase == "Failed":
            assert all(self.cluster.pod_of(job).phase == "Succeeded" for job in self._own()), (
                "a failed video has no running Jobs"
            )


VideoLife.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
test_the_invariants_of_a_video_hold = VideoLife.TestCase
