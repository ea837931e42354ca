"""Requests that nobody sends in good faith: each is refused, in the form of its dialect, and leaves nothing behind."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass
from typing import Any, Literal

BOUNDARY = "a-boundary"
MAX_BODY = 300_000
"""Largest body of the gateway that gets these requests, in bytes."""

CLOSED = 0
"""Instead of a status: the connection ended before the answer was read, because the request was still being sent."""

Form = Literal["problem", "jobs", "runpod", "server"]
"""Who answers: the native API, /jobs, RunPod's API, or the HTTP server itself, which has not understood what dialect is meant."""


@dataclass(frozen=True)
class Hostile:
    """A request.

    Attributes:
        name: What is hostile about it.
        target: Method and path, as they stand in the first line.
        headers: Headers besides Host and the body's length.
        body: The body; or a chunk, and how often it is sent.
        statuses: Statuses that are right.
        form: Form of the answer.
        host: Value of the header Host.
    """

    name: str
    target: str = "POST /v1/videos"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | tuple[bytes, int] = b""
    statuses: tuple[int, ...] = (400,)
    form: Form = "problem"
    host: str = "localhost"


JSON = (("Content-Type", "application/json"),)
MULTIPART = (("Content-Type", f"multipart/form-data; boundary={BOUNDARY}"),)
URLS: dict[str, Any] = {
    "input_reference": {"image_url": "https://example.com/a.png"},
    "audio_reference": {"audio_url": "https://example.com/a.wav"},
}


def text(name: str, value: bytes) -> bytes:
    """A text of a form."""
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"


def file(name: str, content: bytes, file_name: str = "a.png") -> bytes:
    """A file of a form."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{file_name}"\r\n'
    return f"{head}Content-Type: image/png\r\n\r\n".encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()
PICTURE = file("input_reference", b"bytes of a picture")
SOUND = file("audio", b"bytes of a recording")


def form(name: str, *parts: bytes, end: bytes = END, **options: Any) -> Hostile:
    """A form."""
    return Hostile(name, headers=MULTIPART, body=b"".join(parts) + end, **options)


def body(name: str, content: Any, **options: Any) -> Hostile:
    """A body that says that it is JSON."""
    encoded = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Hostile(name, **{"headers": JSON, "body": encoded} | options)


def spec(name: str, fields: Any) -> Hostile:
    """A whole request but for fields of the spec."""
    places = {"source": "input_reference", "speech": "audio_reference"}
    kept = {key: value for key, value in URLS.items() if key not in {places.get(field) for field in fields}}
    return body(name, kept | {"talkingvideo": fields})


JOB = {"image_base64": base64.b64encode(b"x").decode(), "audio_base64": base64.b64encode(b"x").decode()}


def job(name: str, **fields: Any) -> Hostile:
    """The same of /jobs."""
    content = json.dumps({**JOB, "width": 384, "height": 576, **fields}).encode()
    return Hostile(name, "POST /jobs", JSON, content, form="jobs")


def run(name: str, content: Any, **options: Any) -> Hostile:
    """A body for a job of RunPod's API."""
    return body(name, content, **{"target": "POST /v2/endpoint/run", "form": "runpod"} | options)


def run_input(name: str, **fields: Any) -> Hostile:
    """A whole input of such a job but for fields."""
    files = {"image_url": "https://example.com/a.png", "wav_url": "https://example.com/a.wav"}
    return run(name, {"input": {**files, **fields}})


SIZES = [
    Hostile("a body larger than announced limits", headers=JSON, body=b" " * (MAX_BODY + 1), statuses=(413,)),
    Hostile("a form larger than the limit", headers=MULTIPART, body=PICTURE + b"x" * MAX_BODY, statuses=(413,)),
    Hostile("chunks without end", headers=JSON, body=(b"[" * 10_000, 100), statuses=(413,)),
    Hostile("a form in chunks without end", headers=MULTIPART, body=(b"x" * 10_000, 100), statuses=(400, 413)),
    Hostile("chunks without end to /jobs", "POST /jobs", JSON, (b" " * 10_000, 100), (413,), "jobs"),
    Hostile("a large job", "POST /jobs", JSON, b" " * (MAX_BODY + 1), (413,), "jobs"),
    Hostile("a large part of an upload", f"PUT /v1/uploads/upload_{'0' * 32}/parts/1", body=b"x" * 10, statuses=(404,)),
    form("a picture larger than its limit", file("input_reference", b"x" * 100_001), SOUND, statuses=(413,)),
    form("a recording larger than its limit", PICTURE, file("audio", b"x" * 100_001), statuses=(413,)),
    form("an empty picture", file("input_reference", b""), SOUND),
    Hostile(
        "a job's picture larger than its limit",
        "POST /jobs",
        JSON,
        json.dumps(
            {**JOB, "image_base64": base64.b64encode(b"x" * 100_001).decode(), "width": 64, "height": 64}
        ).encode(),
        (413,),
        "jobs",
    ),
    body("an upload that no video may have", {"bytes": 2**53}, target="POST /v1/uploads", statuses=(413,)),
    body("an upload of less than nothing", {"bytes": -1}, target="POST /v1/uploads"),
    Hostile("a huge header", "GET /v1/videos", (("X-A", "a" * 200_000),), statuses=(400, 431, CLOSED), form="server"),
    Hostile("a huge path", f"GET /v1/videos/{'a' * 5_000}", statuses=(400, 404)),
    Hostile("a huge key", headers=(*JSON, ("Idempotency-Key", "k" * 5_000)), body=json.dumps(URLS).encode()),
]

FORMS = [
    form("a form that ends before its last boundary", PICTURE, SOUND, end=b""),
    form("a form that ends in a text", PICTURE, SOUND, text("prompt", b"smiling")[:-9], end=b""),
    form("a form that ends in a file", PICTURE, SOUND[:-12], end=b""),
    form("a form that ends in a header", PICTURE, SOUND, f"--{BOUNDARY}\r\nContent-Dispo".encode(), end=b""),
    form("a form of another boundary", end=b"--another--\r\n"),
    Hostile(
        "a form without a boundary", headers=(("Content-Type", "multipart/form-data"),), body=PICTURE + SOUND + END
    ),
    form("ten thousand fields", PICTURE, SOUND, *(text(f"f{index}", b"x") for index in range(3_000))),
    form("many files", PICTURE, SOUND, *(file(f"f{index}", b"x") for index in range(100))),
    form("a field twice", PICTURE, SOUND, text("prompt", b"a"), text("prompt", b"b")),
    form("a file twice", PICTURE, PICTURE, SOUND),
    form("a field that is a file and a text", PICTURE, SOUND, text("audio", b"x")),
    form("a text that has fields", PICTURE, SOUND, text("talkingvideo[a]", b"x"), text("talkingvideo[a][b]", b"x")),
    form("a field in a hundred fields", PICTURE, SOUND, text("a" + "[b]" * 80, b"x")),
    form("the last item of an endless list", PICTURE, SOUND, text("talkingvideo[speech][turns][999999999999]", b"x")),
    form("a list with gaps", PICTURE, SOUND, text("talkingvideo[speech][turns][7][start]", b"1")),
    form("a name without an end", PICTURE, SOUND, text("talkingvideo[speech", b"x")),
    form("a name with NUL", PICTURE, SOUND, text("a\0b", b"x")),
    form("a part without a name", PICTURE, f"--{BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\nx\r\n".encode()),
    form("a text that is not UTF-8", PICTURE, SOUND, text("prompt", b"\xff\xfe")),
    form("a text with NUL", PICTURE, SOUND, text("prompt", b"a\0b")),
    form("JSON in a field that is not JSON", PICTURE, SOUND, text("talkingvideo", b'{"a":')),
    form("a list in a field that is an object", PICTURE, SOUND, text("talkingvideo", b"[1]")),
    form("deep JSON in a field", PICTURE, SOUND, text("talkingvideo", b'{"a":' * 900 + b"1" + b"}" * 900)),
    form("a file with a path for a name, and no place", PICTURE, SOUND, file("x", b"x", "../../etc/passwd")),
    form("a number that is none", PICTURE, SOUND, text("seed", b"1e999")),
]

JSONS = [
    body("no JSON", b"{"),
    body("no object", b"[]"),
    body("a number for all", b"7"),
    body("nothing", b"null"),
    body("NaN", b'{"seed": NaN}'),
    body("an infinite number", b'{"fps": 1e999}'),
    body("a number with ten thousand digits", b'{"seed": ' + b"9" * 10_000 + b"}"),
    body("JSON nested ten thousand times", b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    body("lists nested ten thousand times", b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}"),
    body("JSON nested more than anybody needs", b'{"a":' * 40 + b"1" + b"}" * 40),
    body("a field of JSON twice", b'{"prompt": "a", "prompt": "b"}'),
    body("half of a surrogate pair", b'{"prompt": "\\ud800"}'),
    body("a text of JSON with NUL", URLS | {"prompt": "a\0b"}),
    body("bytes that are not UTF-8", b'{"prompt": "\xff"}'),
    body("UTF-16", json.dumps(URLS).encode("utf-16")[:-3]),
    body("a field's name with NUL", URLS | {"a\0b": 1}),
    job("a job whose prompt is half of a surrogate pair", prompt="\ud800"),
    Hostile("a job nested ten thousand times", "POST /jobs", JSON, b"[" * 10_000, form="jobs"),
    Hostile("a job that is no object", "POST /jobs", JSON, b"[]", form="jobs"),
]

TYPES = [
    body("a list for a text", URLS | {"prompt": ["a"]}),
    body("a text for an object", URLS | {"talkingvideo": "x"}),
    body("an object for a number", URLS | {"seed": {}}),
    body("a list for a reference", URLS | {"input_reference": []}),
    body("a number for an address", URLS | {"input_reference": {"image_url": 7}}),
    body("a prompt of ten thousand characters", URLS | {"prompt": "a" * 10_000}),
    body("a size of a hundred digits", URLS | {"size": f"{'9' * 100}x1"}),
    body("a width of less than nothing", URLS | {"width": -1, "height": 64}),
    body("less than one frame", URLS | {"num_frames": 0}),
    body("no frame in a thousand seconds", URLS | {"fps": 1e-300, "num_frames": 1_000_000}),
    body("two pictures", URLS | {"talkingvideo": {"source": {"image": {"uri": "https://example.com/b.png"}}}}),
    body("two recordings", URLS | {"talkingvideo": {"speech": {"speakers": [{"text": "Hello."}]}}}),
    body("a text for the speech, and a recording", URLS | {"talkingvideo": {"speech": "x"}}),
    body("a text for the speakers, and a recording", URLS | {"talkingvideo": {"speech": {"speakers": "x"}}}),
    body("texts for speakers, and a recording", URLS | {"talkingvideo": {"speech": {"speakers": ["x"]}}}),
    spec("a list for the source", {"source": []}),
    spec("a text for the speech", {"speech": "x"}),
    spec("a field that there is not", {"statuss": {}}),
    spec("more speakers than there may be", {"speech": {"speakers": [{"text": "a"}] * 1_000}}),
    job("a job of less than nothing", width=-1),
    job("a job whose width is a text", width="a"),
]

ADDRESSES = [
    body("a file of the machine", URLS | {"input_reference": {"image_url": "file:///etc/passwd"}}),
    spec("a file of the machine in the spec", {"source": {"image": {"uri": "file:///etc/passwd"}}}),
    spec("a mask of the machine", {"speech": {"speakers": [{"mask": {"uri": "file:///etc/passwd"}}]}}),
    spec("a volume of somebody", {"source": {"image": {"uri": "pvc://claim/../../a"}}}),
    spec("credentials in an address", {"source": {"image": {"uri": "https://user:password@example.com/a.png"}}}),
    spec("an upload that there is not", {"source": {"image": {"uri": "upload://../../etc/passwd"}}}),
    spec("a file that nobody has uploaded", {"source": {"image": {"upload": f"file_{'0' * 64}"}}}),
    spec("a LoRA of the machine", {"render": {"loras": [{"uri": "file:///root/.ssh/id_rsa"}]}}),
    spec("a LoRA with a path for a name", {"render": {"loras": [{"name": "../../etc/passwd"}]}}),
    body("a data: URL that is not base64", URLS | {"input_reference": {"image_url": "data:image/png;base64,%%%"}}),
    body("a data: URL without base64", URLS | {"input_reference": {"image_url": "data:,x"}}),
]

PATHS = [
    Hostile(
        f"{method} {act} of the id {video_id[:40]!r}", f"{method} /v1/videos/{video_id}{act}", statuses=(400, 404, 405)
    )
    for video_id in (
        "..",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "....//....//etc/passwd",
        "video_%00",
        "video_0000%0d%0aSet-Cookie:%20a=b",
        "%ff%fe",
        "v-" + "0" * 300,
        "*",
        "video_" + "0" * 32 + "'--",
    )
    for method, act in (("GET", ""), ("DELETE", ""), ("GET", "/content"), ("POST", "/remix"))
]

QUERIES = [
    Hostile(f"a list with {query[:40]}", f"GET /v1/videos?{query}")
    for query in (
        "limit=-1",
        "limit=0",
        "limit=101",
        f"limit={'9' * 5_000}",
        "limit=a",
        "limit=1e2",
        "order=random",
        "after=%00",
        "after=" + "a" * 400,
        "after=video_x~99999999999999999999",
    )
] + [
    Hostile("an unknown variant", "GET /v1/videos/v-0/content?variant=../../a"),
    Hostile("a plan that waits for an hour", "POST /v1/videos:plan?wait=3600", JSON, json.dumps(URLS).encode()),
    Hostile("a plan that waits for ever", "POST /v1/videos:plan?wait=inf", JSON, json.dumps(URLS).encode()),
    Hostile("a link for ever", "POST /v1/videos/v-0/link", JSON, b'{"seconds": 99999999999}'),
    Hostile("part number minus one", f"PUT /v1/uploads/upload_{'0' * 32}/parts/-1", body=b"x"),
    Hostile("a part of a path", "PUT /v1/uploads/..%2f..%2fetc/parts/1", body=b"x", statuses=(404,)),
]

ENCODINGS = [
    Hostile(
        "a decompression bomb",
        headers=(*JSON, ("Content-Encoding", "gzip")),
        body=gzip.compress(b" " * 10_000_000),
        statuses=(415,),
    ),
    Hostile("a bomb in a form", headers=(*MULTIPART, ("Content-Encoding", "deflate")), body=b"x", statuses=(415,)),
    Hostile(
        "a bomb to /jobs",
        "POST /jobs",
        (*JSON, ("Content-Encoding", "gzip")),
        gzip.compress(b" " * 10_000_000),
        (400, 415),
        "jobs",
    ),
    Hostile(
        "XML", headers=(("Content-Type", "application/xml"),), body=b"<!ENTITY a SYSTEM 'file:///'>", statuses=(415,)
    ),
    Hostile(
        "a form in a line",
        headers=(("Content-Type", "application/x-www-form-urlencoded"),),
        body=b"a=b",
        statuses=(415,),
    ),
    Hostile("a content type that is none", headers=(("Content-Type", ";;;\x7f"),), body=b"{}", statuses=(400, 415)),
]

HEADERS = [
    Hostile("a key with a space", headers=(*JSON, ("Idempotency-Key", "a b")), body=json.dumps(URLS).encode()),
    Hostile("a key that is not ASCII", headers=(*JSON, ("Idempotency-Key", "\u00e9")), body=json.dumps(URLS).encode()),
    Hostile("a header in a header", "GET /v1/videos", (("X-A", "a\nSet-Cookie b"),), form="server"),
    Hostile("a host that is none", "GET /v1/videos/nothing", statuses=(403,), host="["),
    Hostile("a name that leads here", "GET /v1/videos", statuses=(403,), host="evil.example"),
    Hostile(
        "an origin that is none",
        headers=(*JSON, ("Origin", "http://[")),
        body=json.dumps(URLS).encode(),
        statuses=(403,),
    ),
    Hostile(
        "another site's page",
        headers=(*JSON, ("Origin", "https://evil.example")),
        body=json.dumps(URLS).encode(),
        statuses=(403,),
    ),
    Hostile("another host's address in the line", "GET http://[/v1/videos/nothing", statuses=(400, 404), form="server"),
    Hostile("two lengths", headers=(*JSON, ("Content-Length", "5")), body=b"{}", form="server"),
    Hostile(
        "a length and chunks", headers=(*JSON, ("Transfer-Encoding", "chunked")), body=b"no length\r\n{}", form="server"
    ),
    Hostile("a method that there is not", "BREW /v1/videos", statuses=(405,)),
    Hostile("a method that there is not here", "PUT /v1/videos", statuses=(405,)),
    Hostile(
        "an event id that is none",
        "GET /v1/videos/nothing/events",
        (("Last-Event-ID", "9" * 5_000),),
        statuses=(400, 404),
    ),
]

RUNS = [
    run("a run that is no object", []),
    run("a run without an input", {}),
    run("a run nested ten thousand times", b'{"input":' * 10_000),
    run("a run with a field twice", b'{"input": {}, "input": {}}'),
    run("a run larger than the limit", b" " * (MAX_BODY + 1), statuses=(413,)),
    run(
        "a bomb to run",
        gzip.compress(b" " * 10_000_000),
        headers=(*JSON, ("Content-Encoding", "gzip")),
        statuses=(415,),
    ),
    run("an input that is a list", {"input": ["a"]}),
    run("a batch that is an object", {"input": {"batch": {"0": {}}}}),
    run("a batch without an item", {"input": {"batch": []}}),
    run("a policy for ever", b'{"input": {}, "policy": {"ttl": 1e999}}'),
    run("a policy of less than nothing", {"input": {}, "policy": {"executionTimeout": -1}}),
    run("credentials for a bucket", {"input": {}, "s3Config": {"accessId": "a", "accessSecret": "b"}}),
    run_input("a run of a machine's file", image_url="file:///etc/passwd"),
    run_input("a run of a machine's path", image_path="/etc/passwd.png", image_url=None),
    run_input("a run of a path that climbs", image_path="/runpod-volume/../etc/passwd", image_url=None),
    run_input("a run with credentials in an address", wav_url="https://user:password@example.com/a.wav"),
    run_input("a run of somebody's upload", wav_url=f"upload://file_{'0' * 64}"),
    run_input("a run of more frames than a number has", max_frame=10**400),
    run_input("a run of a size that is an object", width={}),
    run_input(
        "a run that uploads to an address", cond_video="https://example.com/a.png", output_config={"video_url": "x"}
    ),
    run(
        "a run of a picture larger than its limit",
        {"input": {"image_base64": base64.b64encode(b"x" * 100_001).decode(), "wav_url": "https://example.com/a.wav"}},
        statuses=(413,),
    ),
    Hostile("an endpoint of a thousand letters", f"GET /v2/{'a' * 1_000}/health", statuses=(404,), form="runpod"),
    Hostile("a job of a path", "GET /v2/a/status/..%2f..%2fetc", statuses=(404,), form="runpod"),
    Hostile("a job with a header in it", "POST /v2/a/cancel/a%0d%0aX:b", statuses=(400, 404), form="runpod"),
    Hostile("a wait that is no number", "GET /v2/a/status-sync/b?wait=a", form="runpod"),
]

HOSTILE = [*SIZES, *FORMS, *JSONS, *TYPES, *ADDRESSES, *PATHS, *QUERIES, *ENCODINGS, *HEADERS, *RUNS]
