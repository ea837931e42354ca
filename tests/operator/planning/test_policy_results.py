"""Results that an author puts into somebody else's folder, or over work in progress."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from tests.operator.fake_cluster import body, config, spec

from talkingvideo_api.keys import WORK_FOLDER, key_problem, longest_above, rest_below
from talkingvideo_api.profile import Profile
from talkingvideo_api.spec import Output
from talkingvideo_clients.kube.objects import Video
from talkingvideo_operator.builders.stage_input import locations
from talkingvideo_operator.planning.locations import (
    LocationRefusedError,
    shared_folders,
    work_location,
)
from talkingvideo_operator.planning.policy import refusals

OPEN = {"claims": ["*"], "outputNames": ["*"], "outputBuckets": ["*"]}
"""The most that an administrator can allow."""

NAME, PREFIX, PATH = "spec.output.name", "spec.output.s3.prefix", "spec.output.pvc.path"

REACHING_FOR_WORK: list[tuple[dict[str, Any], str]] = [
    ({"name": ".work/neighbour/chunks/x"}, NAME),
    ({"name": "./.work/x"}, NAME),
    ({"name": "{namespace}/../.work/x"}, NAME),
    ({"name": "{namespace}/./x"}, NAME),
    ({"name": "{namespace}/.work/x"}, NAME),
    ({"name": "{namespace}/.x"}, NAME),
    ({"name": "..."}, NAME),
    ({"name": "{namespace}//x"}, NAME),
    ({"name": "//x"}, NAME),
    ({"name": "/x"}, NAME),
    ({"name": "x/"}, NAME),
    ({"name": "{namespace}\\\\..\\\\.work\\\\x"}, NAME),
    ({"name": "{namespace}/\uff0ework/x"}, NAME),
    ({"name": "{namespace}\uff0f\uff0ework/x"}, NAME),
    ({"name": "{namespace}/\u200b.work/x"}, NAME),
    ({"name": "{namespace}/\u034f.work/x"}, NAME),
    ({"name": "{namespace}/\ufeff.work/x"}, NAME),
    ({"name": "{namespace}/\x00.work"}, NAME),
    ({"name": "{namespace}/a\nb"}, NAME),
    ({"name": "{namespace}/" + "x" * 500, "s3": {"prefix": "p" * 500}}, NAME),
    ({"name": "work/x", "s3": {"prefix": "."}}, PREFIX),
    ({"name": "x", "s3": {"prefix": ".work"}}, PREFIX),
    ({"name": "x", "s3": {"prefix": "/.work/neighbour/"}}, PREFIX),
    ({"name": "x", "s3": {"prefix": "films/../.work"}}, PREFIX),
    ({"name": "x", "s3": {"prefix": "films//.work"}}, PREFIX),
    ({"name": "x", "pvc": {"claim": "store", "path": ".work/ns"}}, PATH),
    ({"name": "x", "pvc": {"claim": "store", "path": "a/../.work"}}, PATH),
    ({"name": ".work/x", "pvc": {"claim": "store"}}, NAME),
    ({"name": "../x", "pvc": {"claim": "store"}}, NAME),
    ({"name": "{uid}"}, NAME),
    ({"name": "{name.__class__}"}, NAME),
    ({"name": "{name!r}"}, NAME),
    ({"name": "{name:>9}"}, NAME),
    ({"name": "{0}"}, NAME),
    ({"name": "{"}, NAME),
]


@pytest.mark.parametrize(("output", "field"), REACHING_FOR_WORK)
def test_no_result_reaches_work_in_progress_whatever_the_profile_allows(output: Any, field: str) -> None:
    assert refused(profile(allow=OPEN), "ns", output)[:1] == [field]
    with pytest.raises(LocationRefusedError):
        built(profile(allow=OPEN), "ns", output)


CROSSING: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("team-a", {"name": "team-b/x"}, {}, NAME),
    ("team-a", {"name": "x"}, {}, NAME),
    ("team-a", {"name": "{name}"}, {}, NAME),
    ("team-a", {"name": "{namespace}-b/x"}, {}, NAME),
    ("team-a", {"name": "{namespace}.b/x"}, {}, NAME),
    ("team-a", {"name": "{namespace}{name}/x"}, {}, NAME),
    ("team-a", {"name": "{namespace}"}, {}, NAME),
    ("team-a", {"name": "TEAM-A/x"}, {}, NAME),
    ("team-a", {"name": "{date}/{namespace}/x"}, {}, NAME),
    ("team-a", {"name": "{revision}/x"}, {}, NAME),
    ("team-a", {"s3": {"prefix": "team-b"}}, {}, PREFIX),
    ("team-a", {"s3": {"prefix": "films/team-b"}}, {"outputPrefixes": ["films"]}, PREFIX),
    ("team-a", {"s3": {"prefix": ""}, "name": "films/{namespace}/x"}, {}, PREFIX),
    ("films", {}, {"outputPrefixes": ["films"]}, NAME),
    ("films", {"name": "{namespace}/team-b/x"}, {"outputPrefixes": ["films"]}, NAME),
    ("team-a", {"s3": {"prefix": "team-b"}, "name": "films/x"}, {"outputNames": ["films/"]}, PREFIX),
]


@pytest.mark.parametrize(("namespace", "output", "allow", "field"), CROSSING)
def test_no_result_lies_in_another_namespaces_folder_of_a_bucket(
    namespace: str, output: Any, allow: Any, field: str
) -> None:
    assert refused(profile(allow=allow), namespace, output) == [field]
    with pytest.raises(LocationRefusedError):
        built(profile(allow=allow), namespace, output)


def test_a_store_inside_anothers_prefix_is_not_the_folder_of_a_namespace() -> None:
    """With two stores in one bucket, a folder ``a`` would be that of a namespace and of a store."""
    gold = {"stores": {"default": {"s3": {"bucket": "media", "prefix": "a"}}}}
    assert refused(profile(), "a", {"name": "{namespace}/team-b/x"}, gold=gold) == [NAME]
    assert refused(profile(), "team-b", {}, gold=gold) == []
    assert refused(gold, "team-b", {}, gold=profile()) == []
    assert refused(profile(), "a", {}, gold={"stores": {"default": {"s3": {"bucket": "media", "prefix": "a/b"}}}}) == []


def test_a_namespace_that_shares_its_folder_with_a_store_reads_nothing_of_it() -> None:
    gold = {"stores": {"default": {"s3": {"bucket": "media", "prefix": "a/deep"}}}}
    speech = {"speakers": [{"audio": {"uri": "s3://media/a/deep/team-b/x.mp4"}}]}
    assert refused(profile(), "a", None, gold=gold, speech=speech) == ["spec.speech.speakers[0].audio.uri"]
    assert refused(profile(), "a", None, speech=speech) == []


def test_work_in_progress_lies_in_a_hidden_folder_of_its_namespace() -> None:
    store = config(profile=profile(stores={"default": {"s3": {"bucket": "media", "prefix": "/films/"}}})).profiles
    assert str(work_location(store["default"].stores["default"], "ns")) == "s3://media/films/.work/ns"


def test_a_volume_of_the_namespace_needs_no_folder_of_the_namespace() -> None:
    store = {"stores": {"default": {"pvc": {"claim": "store", "path": "v"}}}}
    assert refused(store, "ns", {"name": "films/{name}"}) == []
    assert built(store, "ns", {"name": "films/{name}"}) == "pvc://store/v/films/hello"


def test_an_administrator_can_allow_names_outside_the_namespaces_folder() -> None:
    assert refused(profile(allow={"outputNames": ["{date}/"]}), "ns", {"name": "{date}/{name}"}) == []
    assert refused(profile(allow={"outputNames": ["*"]}), "ns", {"name": "{name}"}) == []


PARTS = (
    *("{namespace}", "{name}", "{revision}", "{date}", "team-a", "team-b", "team-a-b", "work", ".work", ".", "..", ""),
    *("films", "TEAM-B", "\uff0ework", "\u200b.work", " ", "a b", "{", "-b", "x", ".", "chunks"),
)
NAMESPACES = ("team-a", "team-b", "team-a-b", "films", "work", "x", "chunks", "a")
PREFIXES = ("", "films", "films/x", "work", "team-a", "a/b")


def template(chance: random.Random) -> str:
    """Parts that are joined by slashes or by nothing."""
    pieces = [chance.choice(PARTS) for _ in range(chance.randint(1, 5))]
    own = chance.choice(("", "{namespace}/"))
    return own + ("".join(piece + chance.choice(("/", "/", "", "//")) for piece in pieces)[:-1] or "x")


def some_output(chance: random.Random) -> dict[str, Any]:
    output: dict[str, Any] = {"name": template(chance)} if chance.random() < 0.8 else {}
    if chance.random() < 0.5:
        output["s3"] = {"prefix": template(chance) if chance.random() < 0.7 else chance.choice(PREFIXES)}
    return output


HELLO = Video.of(body(spec(speech={"speakers": [{"text": "Hi."}]})))


@pytest.mark.parametrize("seed", range(6))
def test_every_key_belongs_to_one_namespace_and_none_is_work(seed: int) -> None:
    """Random templates, prefixes and stores; honest ones among them, so that something is accepted."""
    chance = random.Random(seed)
    profiles = {name: some_profile(chance) for name in ("default", "other")}
    roots = {folder for each in profiles.values() for folder in shared_folders([each], "media")}
    owners: dict[str, str] = {}
    for namespace in NAMESPACES:
        for _ in range(400):
            key = accepted_key(profiles, chance.choice(list(profiles)), namespace, some_output(chance))
            if key is not None:
                assert key_problem(key) is None
                assert WORK_FOLDER not in key.split("/")
                assert owners.setdefault(key, namespace) == namespace, "two namespaces have one key"
    assert len(owners) > 50
    for name, namespace in product(profiles, NAMESPACES):
        default = accepted_key(profiles, name, namespace, {})
        folder = default.rpartition("/")[0] if default else None
        for key, owner in owners.items():
            if folder is not None and rest_below(folder, key) is not None and owner != namespace:
                innermost = longest_above(roots, key)
                assert innermost is not None and f"{innermost}/".startswith(f"{folder}/"), (
                    "in another namespace's folder"
                )


def some_profile(chance: random.Random) -> Profile:
    store = {"s3": {"bucket": "media", "prefix": chance.choice(PREFIXES)}}
    allow = {"outputPrefixes": chance.sample(PREFIXES, 2)}
    return config(profile=profile(stores={"default": store}, allow=allow)).profiles["default"]


def accepted_key(profiles: dict[str, Profile], name: str, namespace: str, output: Any) -> str | None:
    """The key of a video's result, or None where it is refused."""
    video, chosen, wanted = replace(HELLO, namespace=namespace), profiles[name], Output.model_validate(output)
    assert video.spec is not None
    if list(refusals(video, video.spec.model_copy(update={"output": wanted}), chosen, profiles.values())):
        return None
    return locations(video, wanted, chosen.stores["default"], chosen.allow).result.removeprefix("s3://media/")


def profile(**changes: Any) -> dict[str, Any]:
    return {"stores": {"default": {"s3": {"bucket": "media"}}}, **changes}


def video_of(namespace: str, output: Any, **changes: Any) -> Video:
    text = {"speakers": [{"text": "Hi."}]}
    document = spec(**{"speech": text, **({"output": output} if output else {}), **changes})
    return Video.of(body(document, namespace=namespace))


def refused(own: dict[str, Any], namespace: str, output: Any, gold: Any = None, **changes: Any) -> list[str]:
    video = video_of(namespace, output, **changes)
    assert video.spec is not None, video.invalid
    default = config(profile=own).profiles["default"]
    others = [config(profile=gold).profiles["default"]] if gold else []
    return [refusal.field for refusal in refusals(video, video.spec, default, [default, *others])]


def built(own: dict[str, Any], namespace: str, output: Any) -> str:
    video, default = video_of(namespace, output), config(profile=own).profiles["default"]
    return locations(video, Output.model_validate(output), default.stores["default"], default.allow).result
