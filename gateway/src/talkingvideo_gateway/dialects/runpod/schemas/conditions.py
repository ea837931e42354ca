"""A picture or video and its sound, with every parameter of the model (InfiniteTalk_Runpod_Serverless).

``cond_video``, ``cond_audio`` or ``tts_audio``, ``size``, ``mode``, ``frame_num`` … and several videos as a ``batch``.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from talkingvideo_gateway.dialects.runpod.schemas.conditions_output import failure, output
from talkingvideo_gateway.dialects.runpod.schemas.fields import Fields
from talkingvideo_gateway.dialects.runpod.schemas.hub import VOLUME, volume_output
from talkingvideo_gateway.dialects.runpod.schemas.people import MAX_FRAMES, prompt
from talkingvideo_gateway.dialects.runpod.schemas.schema import DELIVERY, Delivery, Schema
from talkingvideo_gateway.dialects.values import LARGEST_MOTION_FRAMES
from talkingvideo_gateway.http.pictures import picture_size
from talkingvideo_gateway.videos.request import InputKind

NAME = "conditions"
BATCH = "batch"

RESOLUTIONS = {"infinitetalk-480": "480p", "infinitetalk-720": "720p"}
MODES = {"clip": "Clip", "streaming": "Streaming"}
ARRANGEMENTS = {"para": "Parallel", "add": "Sequential"}
QUANTIZATIONS = {"int8": "Int8", "fp8": "FP8"}
STORES = {"s3": Delivery.LINK, "volume": Delivery.VOLUME, "inline": Delivery.INLINE}

WINDOW, LEAST_WINDOW, MOST_WINDOW = 81, 5, 241
MOTION = 9
LARGEST_SEED = 2**31 - 1
MAX_TEXT = 50_000
MAX_VOICE = 200
MAX_COORDINATE = 100_000
FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
TURN = re.compile(r"\(s([12])\)")
"""In a text of two people, what begins a turn of the first or the second."""


def to_spec(fields: Fields) -> dict[str, Any]:
    """The spec of one video."""
    spec = {
        "source": _source(fields),
        "speech": _speech(fields),
        "prompt": prompt(fields),
        "negativePrompt": prompt(fields, "n_prompt"),
        "video": _present(
            resolution=fields.word("size", RESOLUTIONS), maxFrames=fields.integer("max_frame_num", 1, MAX_FRAMES)
        ),
        "render": _render(fields),
        "output": _output(fields),
    }
    return {key: value for key, value in spec.items() if value}


def _source(fields: Fields) -> dict[str, Any]:
    found = fields.picture_or_video("cond_video")
    if found is None:
        raise fields.wrong("cond_video", "It is missing.")
    kind, uri = found
    return {kind: {"uri": uri}}


def _speech(fields: Fields) -> dict[str, Any]:
    recordings, text = fields.section("cond_audio"), fields.section("tts_audio")
    arrangement = fields.word("audio_type", ARRANGEMENTS)
    if recordings is not None and recordings.has("person1", "person2"):
        fields.ignore("tts_audio", "cond_audio is given, too.")
        speakers = _recorded(recordings)
    elif text is not None:
        speakers = _spoken(text)
    else:
        raise fields.wrong("cond_audio", "cond_audio with person1, or tts_audio with text, is needed.")
    if region := _region(fields):
        speakers[0]["region"] = region
    if len(speakers) > 1:
        return {"speakers": speakers, **_present(arrangement=arrangement)}
    fields.ignore("audio_type", "one person speaks.")
    return {"speakers": speakers}


def _recorded(fields: Fields) -> list[dict[str, Any]]:
    given = [fields.media(name, InputKind.SOUND) for name in ("person1", "person2")]
    fields.finish()
    return [{"audio": {"uri": uri}} for uri in given if uri is not None]


def _spoken(fields: Fields) -> list[dict[str, Any]]:
    text = fields.text("text", MAX_TEXT)
    if text is None:
        raise fields.wrong("text", "It is missing.")
    voices = [_voice(fields, name) for name in ("human1_voice", "human2_voice")]
    fields.finish()
    turns = _turns(text)
    speakers = [
        {"text": " ".join(words for who, words in turns if who == speaker), **_present(voice=voices[speaker])}
        for speaker in (0, 1)
        if any(who == speaker for who, _ in turns)
    ]
    if len(speakers) < 2:
        fields.ignore("human2_voice", "the text has no turn of a second person, which would begin with (s2).")
    elif len(turns) > 2:
        fields.say("text", "has several turns: all of the first person's are spoken before the second's.")
    return speakers


def _turns(text: str) -> list[tuple[int, str]]:
    """Who says what, in order; a text without marks is the first person's."""
    first, *rest = TURN.split(text)
    turns = [(0, first), *((int(who) - 1, words) for who, words in zip(rest[::2], rest[1::2], strict=True))]
    return [(who, words.strip()) for who, words in turns if words.strip()] or [(0, text)]


def _voice(fields: Fields, name: str) -> str | None:
    """A voice's name: of a file of its weights, the part that names it."""
    value = fields.text(name, MAX_VOICE)
    if value is None:
        return None
    voice = PurePosixPath(value.replace("\\", "/")).name.removesuffix(".pt")
    if voice != value:
        fields.say(name, f"{value!r} was changed to {voice!r}: voices have names here, not files.")
    return voice


def _region(fields: Fields) -> dict[str, float] | None:
    """The first person's rectangle in fractions of the picture."""
    box = fields.items("bbox")
    if box is None:
        return None
    if len(box) != 4 or not all(isinstance(edge, (int, float)) and 0 <= edge <= MAX_COORDINATE for edge in box):
        raise fields.wrong("bbox", "It must be four numbers: left, top, right and bottom in pixels.")
    upload = fields.upload("cond_video")
    size = None if upload is None else picture_size(upload.content)
    if size is None:
        message = (
            "It is in pixels, and nothing is fetched here to learn how large the picture is: send the picture itself (PNG, "
            "JPEG or WebP in base64), or leave bbox out."
        )
        raise fields.wrong("bbox", message)
    width, height = size
    left, right = sorted(min(edge / width, 1.0) for edge in box[::2])
    top, bottom = sorted(min(edge / height, 1.0) for edge in box[1::2])
    if right - left < 0.01 or bottom - top < 0.01:
        raise fields.wrong("bbox", f"It is empty, or outside of the picture, which has {width}x{height} pixels.")
    return {"left": left, "top": top, "width": right - left, "height": bottom - top}


def _render(fields: Fields) -> dict[str, Any]:
    window = _window(fields)
    fields.ignore("offload_model", "memory is used according to the GPU.")
    fields.ignore("quant_dir", "quantized weights are made here.")
    render = _present(
        mode=fields.word("mode", MODES),
        windowFrames=window,
        motionFrames=_motion(fields, window or WINDOW),
        steps=fields.integer("sample_steps", 1, 100),
        textGuidance=fields.number("sample_text_guide_scale", 0, 20),
        audioGuidance=fields.number("sample_audio_guide_scale", 0, 20),
        seed=_seed(fields),
        colorCorrection=fields.number("color_correction_strength", 0, 1),
        memory=_present(
            quantization=fields.word("quant", QUANTIZATIONS),
            residentParameters=fields.integer("num_persistent_param_in_dit", 0, 100_000_000_000),
        )
        or None,
    )
    threshold = fields.number("teacache_thresh", 0, 10)
    momentum, norm = fields.number("apg_momentum", -1, 1), fields.number("apg_norm_threshold", 0, 1_000)
    if fields.flag("use_teacache"):
        render["teaCache"] = _present(threshold=threshold)
    if fields.flag("use_apg"):
        render["apg"] = _present(momentum=momentum, normThreshold=norm)
    return render


def _window(fields: Fields) -> int | None:
    given = fields.integer("frame_num", 1, 100_000)
    return None if given is None else _grouped(fields, "frame_num", given, LEAST_WINDOW, MOST_WINDOW)


def _motion(fields: Fields, window: int) -> int | None:
    given = fields.integer("motion_frame", 0, 100_000)
    if given is None:
        return None if window > MOTION else window - 4
    return _grouped(fields, "motion_frame", given, 1, min(LARGEST_MOTION_FRAMES, window - 4))


def _grouped(fields: Fields, name: str, given: int, least: int, most: int) -> int:
    """The number of frames at most as large that the model can use: one, and then groups of four."""
    used = max(least, min(most, given - (given - 1) % 4))
    if used != given:
        fields.say(name, f"{given} was changed to {used}: it has the form 4n+1 and is from {least} to {most}.")
    return used


def _seed(fields: Fields) -> int | None:
    given = fields.integer("base_seed", -1, 2**64)
    if given is None or given <= LARGEST_SEED:
        return given
    used = given % (LARGEST_SEED + 1)
    fields.say("base_seed", f"{given} was changed to {used}: seeds are at most {LARGEST_SEED}.")
    return used


def _output(fields: Fields) -> dict[str, Any]:
    config = fields.section("output_config")
    if config is None:
        return {}
    if config.has("video_url", "thumbnail_url"):
        message = (
            "Nothing is uploaded to addresses in a request, which are credentials. Leave it out: the answer has an address "
            "from which the video can be downloaded."
        )
        raise config.wrong("video_url", message)
    delivery = config.word("store", STORES) or Delivery.LINK
    folder = _folder(config)
    for name in ("bucket", "region"):
        config.ignore(name, "results are in the store that is configured here.")
    config.finish()
    if delivery is Delivery.VOLUME:
        if pvc := volume_output(config, folder):
            return {"pvc": pvc}
        config.say("store", f"'volume' is ignored: no volume is configured for {VOLUME}. The answer has an address.")
        delivery = Delivery.LINK
    fields.notes.options[DELIVERY] = delivery
    return {"name": f"{{namespace}}/{folder}/{{name}}-{{revision}}"} if folder else {}


def _folder(config: Fields) -> str:
    """The prefix as folders below the namespace's own."""
    folders = [part for part in (config.text("prefix", 256) or "").split("/") if part]
    if not all(FOLDER.fullmatch(part) for part in folders):
        raise config.wrong(
            "prefix", "Its folders are made of letters, digits, '.', '_' and '-', without a dot in front."
        )
    return "/".join(folders)


def _present(**values: Any) -> dict[str, Any]:
    """Those that have a value."""
    return {key: value for key, value in values.items() if value is not None}


SCHEMA = Schema(NAME, to_spec, output, failure)
