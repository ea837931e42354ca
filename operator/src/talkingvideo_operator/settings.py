"""The operator's configuration, which an administrator writes (Helm values, or a YAML file)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field

from talkingvideo_api.model import Model
from talkingvideo_api.names import Stage
from talkingvideo_api.problems import InvalidDocumentError, read_document
from talkingvideo_api.profile import Profile

Seconds = Annotated[float, Field(ge=0)]
PositiveSeconds = Annotated[float, Field(gt=0)]


class BackOff(Model):
    """Wait before the next attempt of a failed stage. It doubles with each failure, up to a maximum."""

    first_seconds: Seconds = 10
    """Seconds to wait after the first failure."""
    max_seconds: Seconds = 300
    """Maximum wait in seconds."""


class LeaseSettings(Model):
    """The Lease that keeps two operators from acting at once."""

    name: str = "talkingvideo-operator"
    """Name of the Lease object."""
    namespace: str | None = None
    """Namespace of the Lease object. Defaults to the operator's own."""
    duration_seconds: Annotated[float, Field(ge=2)] = 15
    """Seconds without renewal after which the Lease is lost. Its holder stops acting after two thirds of this time."""


class OperatorConfig(Model):
    """Everything that an administrator configures."""

    profiles: Annotated[dict[str, Profile], Field(min_length=1)]
    """Named sets of image, nodes, stores and limits. Objects that do not set spec.profile use ``default``."""
    namespaces: tuple[str, ...] = ()
    """Namespaces to serve. All namespaces if empty."""
    max_parallel: Annotated[int, Field(ge=1)] | None = None
    """Maximum number of GPUs in the cluster that render at the same time; with a profile without gpu, a chunk counts as one.
    Unlimited if not set. An object whose chunks need more fails. Namespaces share by weight, see operations.md. Jobs in a
    Kueue queue are not counted, neither here nor in the following two."""
    max_parallel_prepare: Annotated[int, Field(ge=1)] = 32
    """Maximum number of concurrent prepare Jobs in the cluster."""
    max_parallel_stitch: Annotated[int, Field(ge=1)] = 16
    """Maximum number of concurrent stitch Jobs in the cluster."""
    back_off: BackOff = BackOff()
    """Waits between attempts."""
    max_interruptions: Annotated[int, Field(ge=1)] = 10
    """Maximum number of interruptions (eviction, preemption, lost node) per stage or chunk before the video fails."""
    lost_pod_seconds: Annotated[float, Field(ge=0, le=86_400)] = 60
    """Seconds past a pod's grace period after which the pod counts as lost and its work starts again."""
    start_seconds: PositiveSeconds = 1_800
    """Seconds within which a pod must start in a stage that has a bound. Its Job is then deleted, so that the slot goes to who is
    next, and is created again when it is its turn; this counts as an interruption. Jobs in a Kueue queue are not affected."""
    missing_report_seconds: Seconds = 10
    """Seconds for which the operator waits for the report of a finished Job before the work counts as lost."""
    waiting_seconds: Seconds = 15
    """Seconds for which a pod may be unable to run before the conditions say why."""
    progress_from_logs: bool = True
    """Read the tail of render pods' logs for progress. Requires permission to read pods/log, which cannot be restricted by
    label."""
    progress_seconds: PositiveSeconds = 10
    """Minimum interval in seconds between status writes of an object that change only progress."""
    resync_seconds: PositiveSeconds = 600
    """Interval in seconds at which all objects are listed again, in case a watch has missed a change."""
    workers: Annotated[int, Field(ge=1, le=64)] = 8
    """Number of objects reconciled concurrently."""
    lease: LeaseSettings = LeaseSettings()
    """Settings of the Lease."""
    probe_port: Annotated[int, Field(ge=1, le=65_535)] = 8080
    """Port of the liveness probe. Its path is /healthz."""
    stale_seconds: PositiveSeconds = 120
    """Seconds of inactivity of the reconciler after which the liveness probe fails."""

    def limit(self, stage: Stage) -> int | None:
        """The cluster's bound on a stage: GPUs for rendering, Jobs for the others; None if there is none."""
        limits = {
            Stage.PREPARE: self.max_parallel_prepare,
            Stage.RENDER: self.max_parallel,
            Stage.STITCH: self.max_parallel_stitch,
        }
        return limits[stage]


class ConfigError(Exception):
    """The configuration is invalid; the message says which fields and why."""


def load(path: Path) -> OperatorConfig:
    """Read the configuration file.

    Raises:
        ConfigError: One line for each invalid field, with its path in the file.
    """
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    try:
        return read_document(OperatorConfig, document)
    except InvalidDocumentError as error:
        raise ConfigError(f"{path}:\n  " + "\n  ".join(map(str, error.problems))) from error
