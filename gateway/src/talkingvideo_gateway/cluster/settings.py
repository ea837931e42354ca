"""What the administrator says of the cluster: stores, and where the operator's Lease is."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from talkingvideo_api.model import Model
from talkingvideo_api.names import DNS_SUBDOMAIN
from talkingvideo_api.profile import Folder
from talkingvideo_api.stage_input import S3Connection

Url = Annotated[str, StringConstraints(pattern=r"^https?://[^/?#@]+/?$")]
ObjectName = Annotated[str, StringConstraints(pattern=DNS_SUBDOMAIN, max_length=253)]


class S3Settings(Model):
    """A bucket of an S3-compatible service, as a store of a profile describes it.

    Credentials come from the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) or from the identity of the gateway's
    ServiceAccount.
    """

    bucket: str
    """Name of the bucket."""
    prefix: Folder = ""
    """Prefix of all keys, a folder; the same as in the profile."""
    endpoint: Url | None = None
    """URL of the service. Defaults to AWS."""
    region: str = "us-east-1"
    """Region that requests are signed for."""
    addressing_style: str = "auto"
    """Addressing style of boto3: path, virtual or auto."""
    link_endpoint: Url | None = None
    """URL at which clients reach the service. With it, links of results lead to the store, presigned; without it, to the
    gateway."""

    def connection(self, endpoint: str | None) -> S3Connection:
        """How to reach the service."""
        return S3Connection(endpoint=endpoint, region=self.region, addressing_style=self.addressing_style)


class GatewayStore(Model):
    """Where a profile's store keeps its files."""

    s3: S3Settings
    """A bucket of an S3-compatible service."""


class OperatorLease(Model):
    """The operator's Lease, from which the gateway knows whether anybody renders."""

    name: ObjectName
    """Name of the Lease object."""
    namespace: ObjectName
    """Namespace of the Lease object."""


class ClusterSettings(Model):
    """How the gateway uses a cluster."""

    namespaces: tuple[ObjectName, ...] = ()
    """Namespaces to serve. All namespaces if empty."""
    stores: dict[str, GatewayStore] = Field(default_factory=dict)
    """Stores with results and uploads, by name; those of the profiles, whose results can be downloaded then."""
    default_store: str = "default"
    """Store that uploads are written to."""
    inputs: tuple[Annotated[str, StringConstraints(pattern=r"^(s3|pvc|configmap)://[^/]+/(.*/)?$")], ...] = ()
    """Folders whose files callers may name as inputs besides https:// addresses and their own uploads, such as
    ``s3://media/inputs/`` or ``pvc://media/``. The profile has to allow them, too."""
    operator_lease: OperatorLease | None = None
    """The operator's Lease. Without it, the gateway does not know whether an operator runs."""
    engine: str = ""
    """Engine of videos that name none, for clients that ask."""
    gpu: bool = False
    """Whether it renders on GPUs, for clients that ask."""
