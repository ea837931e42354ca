"""``/v1/videos/{id}/events`` and ``/v1/events``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx
from tests.gateway.serving import ServedGateway

from talkingvideo_gateway.dialects.videos.events import with_pings

BODY = {
    "input_reference": {"image_url": "https://example.com/a.png"},
    "audio_reference": {"audio_url": "https://example.com/a.wav"},
}


class Event(NamedTuple):
    name: str
    id: str
    data: Any


@contextmanager
def listening(http: httpx.Client, path: str, last_event_id: str | None = None) -> Iterator[Iterator[Event]]:
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    with http.stream("GET", path, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield events_of(answer.iter_lines())


def events_of(lines: Iterator[str]) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            yield Event(fields["event"], fields["id"], json.loads(fields["data"]))
            fields = {}


def created(http: httpx.Client) -> Any:
    return http.post("/v1/videos", json=BODY).json()


def name_of(video: Any) -> str:
    return str(video["talkingvideo"]["name"])


def test_the_present_state_comes_first_then_each_change_until_the_end(
    http: httpx.Client, gateway: ServedGateway
) -> None:
    video = created(http)
    with listening(http, f"/v1/videos/{video['id']}/events") as events:
        first = next(events)
        gateway.render(name_of(video))
        second = next(events)
        gateway.succeed(name_of(video))
        rest = list(events)

    assert [event.name for event in (first, second, *rest)] == [
        "video.queued",
        "video.in_progress",
        "video.completed",
    ]
    assert int(first.id) < int(second.id) < int(rest[0].id)
    assert rest[0].data == http.get(f"/v1/videos/{video['id']}").json()


def test_who_connects_again_gets_what_was_missed(http: httpx.Client, gateway: ServedGateway) -> None:
    video = created(http)
    with listening(http, f"/v1/videos/{video['id']}/events") as events:
        last = next(events).id
    gateway.render(name_of(video))
    with listening(http, f"/v1/videos/{video['id']}/events", last) as events:
        assert next(events).name == "video.in_progress"


def test_who_knows_the_end_need_not_connect_again(http: httpx.Client, gateway: ServedGateway) -> None:
    video = created(http)
    gateway.succeed(name_of(video))
    with listening(http, f"/v1/videos/{video['id']}/events") as events:
        (end,) = events
    answer = http.get(f"/v1/videos/{video['id']}/events", headers={"Last-Event-ID": end.id})

    assert (answer.status_code, answer.content) == (204, b"")


def test_a_deleted_video_ends_its_events(http: httpx.Client) -> None:
    video = created(http)
    with listening(http, f"/v1/videos/{video['id']}/events") as events:
        next(events)
        http.delete(f"/v1/videos/{video['id']}")
        (end,) = events

    assert (end.name, end.data) == ("video.deleted", {"id": video["id"], "object": "video.deleted", "deleted": True})


def test_other_videos_are_not_in_a_video_s_events(http: httpx.Client, gateway: ServedGateway) -> None:
    video, other = created(http), created(http)
    with listening(http, f"/v1/videos/{video['id']}/events") as events:
        next(events)
        gateway.render(name_of(other))
        gateway.render(name_of(video))

        assert next(events).data["id"] == video["id"]


def test_all_events_begin_with_what_has_not_ended(http: httpx.Client, gateway: ServedGateway) -> None:
    ended, video = created(http), created(http)
    gateway.succeed(name_of(ended))
    with listening(http, "/v1/events") as events:
        assert next(events).data["id"] == video["id"]
        new = created(http)
        assert next(events).data["id"] == new["id"]


def test_all_events_go_on_after_the_last_one(http: httpx.Client, gateway: ServedGateway) -> None:
    missed, known = created(http), created(http)
    with listening(http, "/v1/events") as events:
        last = [next(events) for _ in range(2)][-1]
    gateway.succeed(name_of(missed))
    with listening(http, "/v1/events", last.id) as events:
        event = next(events)

    assert last.data["id"] == known["id"]
    assert (event.name, event.data["id"]) == ("video.completed", missed["id"])


def test_silence_is_filled_with_comments() -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.sleep(3600)

    async def listen() -> list[bytes]:
        found = []
        events = with_pings(slow(), 0.01, asyncio.Event())
        async for event in events:
            found.append(event)
            if len(found) == 3:
                break
        await events.aclose()
        return found

    assert asyncio.run(listen()) == [b"first", b": ping\n\n", b": ping\n\n"]
