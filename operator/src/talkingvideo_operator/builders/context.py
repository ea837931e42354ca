"""What the manifests of a video's children are built from."""

from __future__ import annotations

from dataclasses import dataclass

from talkingvideo_api.effective import Effective
from talkingvideo_api.names import Stage
from talkingvideo_api.profile import Profile, StagePods, Store
from talkingvideo_api.spec import TalkingVideoSpec
from talkingvideo_clients.kube.objects import Video


@dataclass(frozen=True)
class BuildContext:
    """A video with its effective values and its profile."""

    video: Video
    spec: TalkingVideoSpec
    effective: Effective
    profile: Profile

    @property
    def store(self) -> Store:
        """The store that holds the workspace."""
        return self.profile.stores[self.effective.store]

    @property
    def image(self) -> str:
        """The image of the pods: the one that the video began with, if the profile still allows it."""
        image = self.effective.worker_image
        return image if self.profile.allows_image(image) else self.profile.worker_image

    def stage(self, stage: Stage) -> StagePods:
        """The profile's settings for a stage's pods."""
        stages = {
            Stage.PREPARE: self.profile.prepare,
            Stage.RENDER: self.profile.render,
            Stage.STITCH: self.profile.stitch,
        }
        return stages[stage]
