"""A YAML file as ``talkingvideo run`` reads it."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.local.documents import Documents, read_documents

VIDEO = """
apiVersion: talkingvideo.dev/v1alpha1
kind: TalkingVideo
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  source: {{image: {{uri: "{picture}"}}}}
  speech: {{speakers: [{{audio: {{uri: "https://example.com/voice.wav"}}}}]}}
---
"""

CONFIG_MAP = """
apiVersion: v1
kind: ConfigMap
metadata: {{name: "{name}"}}
{field}: {{"{key}": "{value}"}}
---
"""


def video(name: str = "hello", namespace: str = "default", picture: str = "https://example.com/face.png") -> str:
    return VIDEO.format(name=name, namespace=namespace, picture=picture)


def config_map(name: str = "media", field: str = "data", key: str = "voice.txt", value: str = "x") -> str:
    return CONFIG_MAP.format(name=name, field=field, key=key, value=value)


def read(folder: Path, text: str) -> Documents:
    (folder / "video.yaml").write_text(text)
    return read_documents(folder / "video.yaml")


def refusal(folder: Path, text: str) -> StageError:
    with pytest.raises(StageError) as refused:
        read(folder, text)
    assert refused.value.code is ErrorCode.INPUT_VALIDATION
    return refused.value


def test_videos_come_in_the_files_order_and_configmaps_by_name(tmp_path: Path) -> None:
    binary = base64.encodebytes(bytes(range(200))).decode().replace("\n", "\\n")
    text = video("b") + config_map() + config_map("sounds", "binaryData", "a.wav", binary) + "---\n" + video("a")
    documents = read(tmp_path, text)
    assert [item.metadata.name for item in documents.videos] == ["b", "a"]
    assert documents.configmaps == {"media": {"voice.txt": b"x"}, "sounds": {"a.wav": bytes(range(200))}}


LAUGHS = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]
)
MERGED = "\n".join(
    ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 12))]
)


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        f"{LAUGHS}\nkind: *a11\napiVersion: *a11",
        MERGED,
        "spec: &a [*a]",
        "spec: &a {source: *a}",
        "? &a [*a]\n: x",
        "x: [" + "1, " * 100_000 + "]",
    ],
    ids=[
        "aliases",
        "a kind of aliases",
        "merges",
        "a list of itself",
        "a mapping of itself",
        "a key of itself",
        "long",
    ],
)
def test_a_few_lines_that_stand_for_billions_of_values_are_refused(tmp_path: Path, text: str) -> None:
    assert "more than 100,000 values" in refusal(tmp_path, text).message


def test_an_alias_stands_for_its_value(tmp_path: Path) -> None:
    text = video().replace('"https://example.com/face.png"', '&uri "https://example.com/a"')
    text = text.replace('"https://example.com/voice.wav"', "*uri")
    (found,) = read(tmp_path, text).videos
    speaker = found.spec.speech.speakers[0]
    assert speaker.audio is not None and speaker.audio.uri == "https://example.com/a"


def test_configmaps_lie_as_a_pod_would_find_them(tmp_path: Path) -> None:
    read(tmp_path, video() + config_map()).write_configmaps(tmp_path / "mounted")
    assert (tmp_path / "mounted" / "media" / "voice.txt").read_bytes() == b"x"


@pytest.mark.parametrize("key", ["../x", "../../.bashrc", "/etc/passwd", "..", ".", "..data", "a/b", "", "a\\\\b", "ä"])
def test_a_key_that_could_leave_its_folder_is_refused(tmp_path: Path, key: str) -> None:
    assert "is not a valid key" in str(refusal(tmp_path, video() + config_map(key=key)))


@pytest.mark.parametrize("name", ["..", "../../x", "/tmp", "a/b", "", "Media"])
def test_a_configmap_whose_name_could_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    assert "is not a valid name" in str(refusal(tmp_path, video() + config_map(name=name)))


@pytest.mark.parametrize("name", ["..", "../../x", "a/b", "A"])
def test_a_video_whose_name_could_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    assert refusal(tmp_path, video(name)).field == "metadata.name"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no TalkingVideo"),
        ("a: [1, 2", "line 1"),
        ("- just\n- a list\n", "a document that is a list"),
        ("just words", "a document that is a str"),
        ("kind: Secret\napiVersion: v1\n", "'Secret'"),
        (video() + video(), "'hello' is used twice"),
        (video(namespace="one") + video(namespace="two"), "'hello' is used twice"),
        (video() + config_map() + config_map(), "'media' is used twice"),
        (video() + config_map(field="binaryData", value="not base64!"), "not base64"),
        (video() + "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: [1]\n", "not a mapping"),
        (video() + "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {port: 80}\n", "put it in quotes"),
        ("\x00", "is not YAML"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_plain_sentence(tmp_path: Path, text: str, message: str) -> None:
    assert message in str(refusal(tmp_path, text))


def test_a_wrong_field_is_named_with_the_document_it_is_in(tmp_path: Path) -> None:
    error = refusal(tmp_path, video("fine") + video("wrong", picture="ftp://example.com/face.png"))
    assert error.field == "spec.source.image"
    assert "document 2" in str(error)


def test_all_wrong_fields_of_a_document_are_named_together(tmp_path: Path) -> None:
    error = refusal(tmp_path, video() + video("wrong").replace("spec:", "spec:\n  promt: x\n  render: {preset: fsat}"))
    assert str(error).splitlines() == [
        f"2 fields are wrong in {tmp_path / 'video.yaml'}, document 2:",
        "  spec.render.preset: Input should be 'quality', 'fast' or 'turbo'; did you mean fast?",
        "  spec.promt: unknown field; did you mean prompt?",
    ]


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "none.yaml", "does not exist"), (tmp_path, "is a folder")):
        with pytest.raises(StageError, match=message):
            read_documents(path)
    (tmp_path / "latin.yaml").write_bytes("é".encode("latin-1"))
    with pytest.raises(StageError, match="UTF-8"):
        read_documents(tmp_path / "latin.yaml")


@pytest.mark.parametrize("given", ["file:my face.png", "file:./my%20face.png", "file:../{folder}/my face.png"])
def test_a_relative_file_lies_beside_the_yaml(tmp_path: Path, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    (parsed,) = read(tmp_path, video(picture=given.format(folder=tmp_path.name))).videos
    assert parsed.spec.source.image is not None
    assert parsed.spec.source.image.uri == (tmp_path / "my face.png").as_uri()


@pytest.mark.parametrize(
    "given", ["file:///tmp/face.png", "https://example.com/file:face.png", "data:image/png,file:x"]
)
def test_absolute_uris_are_left_as_they_are(tmp_path: Path, given: str) -> None:
    (parsed,) = read(tmp_path, video(picture=given)).videos
    assert parsed.spec.source.image is not None
    assert parsed.spec.source.image.uri == given
