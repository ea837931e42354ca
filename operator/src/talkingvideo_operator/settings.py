"""The operator's configuration, which an administrator writes (Helm values, or a YAML file)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from talkingvideo_api.model import Model
from talkingvideo_api.profile import Profile

Seconds = Annotated[float, Field(ge=0)]
PositiveSeconds = Annotated[float, Field(gt=0)]


class BackOff(Model):
    """How long a failed stage waits for its next attempt: twice as long each time, up to a maximum."""

    first_seconds: Seconds = 10
    """Wait after the first failure."""
    max_seconds: Seconds = 300
    """Longest wait."""


class LeaseSettings(Model):
    """The Lease that keeps two operators from acting at once."""

    name: str = "talkingvideo-operator"
    """Name of the Lease object."""
    namespace: str | None = None
    """Its namespace; the operator's own when absent."""
    duration_seconds: Annotated[float, Field(ge=2)] = 15
    """A Lease that is not renewed for this long is lost. Its holder stops acting after two thirds of this time."""


class OperatorConfig(Model):
    """Everything that an administrator configures."""

    profiles: Annotated[dict[str, Profile], Field(min_length=1)]
    """Named sets of image, nodes, stores and limits; objects that name no profile use ``default``."""
    namespaces: tuple[str, ...] = ()
    """Namespaces to serve; all of them when empty."""
    max_parallel: Annotated[int, Field(ge=1)] | None = None
    """Render Jobs at once in the whole cluster; unlimited when absent. Jobs in a Kueue queue are not counted."""
    back_off: BackOff = BackOff()
    """Waits between attempts."""
    max_interruptions: Annotated[int, Field(ge=1)] = 10
    """How many attempts at one piece of work may be lost with their node before the video fails."""
    lost_pod_seconds: Annotated[float, Field(ge=0, le=86_400)] = 60
    """A pod that still exists this long after it should be gone counts as lost, and its work starts again."""
    missing_report_seconds: Seconds = 10
    """How long the operator waits for the report of a finished Job before the work counts as lost."""
    waiting_seconds: Seconds = 15
    """How long a pod may be kept from running before the conditions say why."""
    progress_from_logs: bool = True
    """Read the tail of render pods' logs for progress. Needs the right to read pods/log, which no label can narrow."""
    progress_seconds: PositiveSeconds = 10
    """Progress, ETA and the like are written at most once in this time per object."""
    resync_seconds: PositiveSeconds = 600
    """All objects are listed again at this interval, in case a watch has missed a change."""
    workers: Annotated[int, Field(ge=1, le=64)] = 8
    """Objects reconciled at the same time."""
    lease: LeaseSettings = LeaseSettings()
    """The Lease."""
    probe_port: Annotated[int, Field(ge=1, le=65_535)] = 8080
    """Port of the liveness probe, path /healthz."""
    stale_seconds: PositiveSeconds = 120
    """The probe fails when the reconciler has been inactive for this long."""


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
        return OperatorConfig.model_validate(document)
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise ConfigError(f"{path}:\n  " + "\n  ".join(problems)) from error
