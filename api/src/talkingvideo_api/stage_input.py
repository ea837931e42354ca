"""Stage input: everything that the stages of one revision need to know.

The operator writes it into one immutable ConfigMap per revision, key ``stage-input.json``, which every stage mounts
read-only. It is never part of the environment or the arguments, and holds no secret: credentials reach a pod as
environment variables from a Secret in the object's namespace. It does hold the inputs' addresses as the object has them,
signatures included: whoever may read ConfigMaps in a namespace can read what those who may read its objects can.

Each Job's arguments have its sha256, which the stage compares before it parses: a ConfigMap that anybody else has put in
its place sets no buckets, hosts or endpoints.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import Field

from talkingvideo_api.effective import Effective
from talkingvideo_api.model import Model
from talkingvideo_api.profile import InputLimits, Network
from talkingvideo_api.spec import TalkingVideoSpec
from talkingvideo_api.values import RenderValues

STAGE_INPUT_KEY = "stage-input.json"

INPUTS_FOLDER = "inputs"
"""Folder in prepare's scratch folder: the inputs, unparsed. ``fetch`` writes it, the other steps only read it."""

PREPARED_FOLDER = "prepared"
"""Folder in prepare's scratch folder: what becomes the workspace. ``process`` writes it, ``publish`` only reads it."""


class S3Connection(Model):
    """Connection to the store's S3 service. Credentials come from the environment or the pod's identity."""

    endpoint: str | None = None
    region: str = "us-east-1"
    addressing_style: str = "auto"


class Locations(Model):
    """URIs that the stages read and write: ``s3://``, ``pvc://`` (mounted) or ``file://``."""

    workspace: str
    """Folder of this revision."""
    chunks: str
    """Folder of finished chunks by key, shared by the objects of one namespace."""
    result: str
    """URI of the result without file extension."""
    public_base_url: str | None = None
    """Base of ``status.output.url``, to which the result's key is appended."""


class StageInput(Model):
    """The stage input of one revision."""

    version: Literal[1] = 1
    namespace: str
    name: str
    uid: str
    revision: str
    spec: TalkingVideoSpec
    effective: Effective
    locations: Locations
    s3: S3Connection = S3Connection()
    limits: InputLimits = InputLimits()
    network: Network = Network()
    input_buckets: tuple[str, ...] = ()
    """Places that s3:// inputs may come from: ``bucket``, ``bucket/folder/``, or ``*`` for all."""
    secret_hosts: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Hosts that may receive the Secrets of headersSecretName, by the Secret's name."""
    price_per_gpu_hour: float | None = None

    @property
    def sha256(self) -> str:
        """Digest of the document as the ConfigMap holds it, hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @property
    def values(self) -> RenderValues:
        """What the engine renders by."""
        return self.effective.render_values(self.spec)
