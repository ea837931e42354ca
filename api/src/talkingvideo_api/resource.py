"""The resource as a whole."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from talkingvideo_api.model import Model
from talkingvideo_api.names import API_VERSION, DNS_LABEL, DNS_SUBDOMAIN, KIND, MAX_OBJECT_NAME
from talkingvideo_api.problems import read_document
from talkingvideo_api.spec import TalkingVideoSpec
from talkingvideo_api.status import TalkingVideoStatus


class Metadata(Model):
    """The fields of ``metadata`` that matter here; others are ignored.

    Without a cluster the names are validated here, since results are named after them.
    """

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, StringConstraints(max_length=MAX_OBJECT_NAME, pattern=DNS_SUBDOMAIN)]
    namespace: Annotated[str, StringConstraints(max_length=63, pattern=DNS_LABEL)] = "default"
    uid: str = ""
    generation: int = 0
    annotations: dict[str, str] = Field(default_factory=dict)


class TalkingVideo(Model):
    """A video in which a portrait speaks."""

    api_version: str = API_VERSION
    kind: str = KIND
    metadata: Metadata
    spec: TalkingVideoSpec
    status: TalkingVideoStatus = TalkingVideoStatus()


def parse(document: dict[str, Any]) -> TalkingVideo:
    """Read a TalkingVideo from YAML or the API.

    Raises:
        InvalidDocumentError: With every field that is wrong.
    """
    return read_document(TalkingVideo, document)
