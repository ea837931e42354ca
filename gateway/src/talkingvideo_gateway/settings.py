"""The gateway's configuration, which an administrator writes (Helm values, a YAML file, or the command's options)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from talkingvideo_api.model import Model
from talkingvideo_gateway.cluster.settings import ClusterSettings
from talkingvideo_gateway.errors import InvalidRequestError
from talkingvideo_gateway.identity.caller import CallerLimits
from talkingvideo_gateway.identity.settings import Authentication

Seconds = Annotated[float, Field(gt=0)]


class ResultForm(StrEnum):
    """How answers have the video where the request does not say it."""

    LINK = "Link"
    INLINE = "Inline"


class RunPodEndpoint(Model):
    """An endpoint of RunPod's API."""

    profile: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Profile of its videos, for callers that have none of their own. The operator's default where it is not set."""
    results: ResultForm = ResultForm.LINK
    """Link: an address, as workers with a bucket answer. Inline: base64, as workers without one do."""


class GatewayConfig(Model):
    """Everything that an administrator configures."""

    namespace: str = "default"
    """Namespace of callers that have none of their own."""
    public_url: Annotated[str, Field(pattern=r"^(https?://[^/?#]+)?$")] = ""
    """Address under which clients reach the gateway, without a path. By default that of each request."""
    limits: CallerLimits = CallerLimits()
    """Limits of callers that have none of their own."""
    max_body_megabytes: Annotated[float, Field(gt=0, le=1_000)] = 100
    """Largest body of a request: files in JSON are a third larger than the files."""
    link_seconds: Annotated[int, Field(ge=60, le=604_800)] = 86_400
    """How long links of results work that an answer has for clients without credentials."""
    authentication: Authentication = Authentication()
    """How callers are told apart. Without it the gateway listens on loopback only, and everybody is the same caller."""
    cluster: ClusterSettings = ClusterSettings()
    """How the gateway uses its cluster; nothing of it concerns `--local`."""
    link_key: Path | None = None
    """File with the key that signs links and sessions, such as of a mounted Secret; replicas share it. At least 32 characters.
    With `--local` one is made."""
    cors_origins: tuple[Annotated[str, Field(pattern=r"^https?://[^/?#*]+$")], ...] = ()
    """Other sites whose pages may send requests with a token, such as ``https://app.example.com``. None by default."""
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = 9_090
    """Port of Prometheus metrics, path /metrics; 0 for none. Not with `--local`."""
    paths: dict[str, str] = Field(default_factory=dict)
    """Folders of the older services' shared volumes, and the URIs that they stand for: ``/inputs: pvc://media/inputs``."""
    endpoints: dict[str, RunPodEndpoint] = Field(default_factory=dict)
    """Endpoints of RunPod's API by their ids. Every id is an endpoint as long as none is configured."""


def load_config(file: Path | None) -> GatewayConfig:
    """Read the configuration; everything has a default.

    Raises:
        InvalidRequestError: It cannot be read, or a value is wrong.
    """
    if file is None:
        return GatewayConfig()
    try:
        return GatewayConfig.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    except (OSError, yaml.YAMLError) as error:
        raise InvalidRequestError(f"{file} cannot be read: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidRequestError(f"{file}: {first['msg']}", field=field) from error
