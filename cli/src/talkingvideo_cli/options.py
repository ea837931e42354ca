"""The options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from talkingvideo_cli.printing import Format

CLUSTER, STORE = "Cluster", "Store"
"""Panels of ``--help``."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the TalkingVideo.")]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="Namespace. Default: that of the context.", rich_help_panel=CLUSTER),
]
ContextName = Annotated[
    str | None,
    typer.Option("--context", help="Context of the kubeconfig. Default: its current one.", rich_help_panel=CLUSTER),
]
Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig", help="Kubeconfig file. Default: KUBECONFIG, or ~/.kube/config.", rich_help_panel=CLUSTER
    ),
]
Output = Annotated[Format | None, typer.Option("--output", "-o", help="Print the object, for programs.")]
Timeout = Annotated[
    float | None, typer.Option(min=0, metavar="SECONDS", help="Stop waiting after this time. Default: no limit.")
]

Picture = Annotated[
    str,
    typer.Argument(metavar="PICTURE", help="Picture, or video to dub: a file, or an address that the cluster opens."),
]
Sounds = Annotated[
    list[str] | None,
    typer.Argument(metavar="SOUND", help="Recording: a file, or an address. Two for two speakers."),
]
Texts = Annotated[list[str] | None, typer.Option("--text", help="Text to speak instead of a recording. Repeatable.")]
Voices = Annotated[list[str] | None, typer.Option("--voice", help="Voice or language of the texts, or of each.")]
ObjectName = Annotated[str | None, typer.Option("--name", help="Name of the object. Default: made from the picture's.")]
ProfileName = Annotated[str | None, typer.Option("--profile", help="Profile of the cluster.")]
PresetName = Annotated[str | None, typer.Option("--preset", help="quality, fast or turbo. Default: the profile's.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="spec.FIELD=VALUE", help="A field, such as spec.video.resolution=720p. Repeatable."),
]

Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        envvar="TALKINGVIDEO_STORE",
        metavar="s3://BUCKET/PREFIX",
        help="The profile's store, to which files are uploaded. Without it, small files travel in the object.",
        rich_help_panel=STORE,
    ),
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint-url",
        metavar="URL",
        help="S3 service of the store. Default: as for the aws command (AWS_ENDPOINT_URL_S3).",
        rich_help_panel=STORE,
    ),
]


class AddressingStyle(StrEnum):
    """How a bucket is addressed: in the path or in the host of a URL."""

    AUTO = "auto"
    PATH = "path"
    VIRTUAL = "virtual"


Addressing = Annotated[
    AddressingStyle,
    typer.Option(envvar="TALKINGVIDEO_ADDRESSING_STYLE", help="As in the profile.", rich_help_panel=STORE),
]
