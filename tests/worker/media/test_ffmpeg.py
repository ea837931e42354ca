from __future__ import annotations

import io
import struct
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.profile import InputLimits
from talkingvideo_worker.media.engine_audio import write_engine_audio
from talkingvideo_worker.media.ffmpeg import OPTIONS, describe, open_media
from talkingvideo_worker.media.formats import DEMUXERS, UNKNOWN, FileFormat, identify

from .conftest import FIELD, speechlike, write_sound, write_video, write_wav

SOUNDS = [
    ("wav", "pcm_s16le", "wav"),
    ("w64", "pcm_s16le", "w64"),
    ("aiff", "pcm_s16be", "aiff"),
    ("flac", "flac", "flac"),
    ("mp3", "libmp3lame", "mp3"),
    ("mp2", "mp2", "mp3"),
    ("adts", "aac", "aac"),
    ("ogg", "libopus", "ogg"),
    ("ipod", "aac", "mov"),
    ("mov", "pcm_s16le", "mov"),
    ("3gp", "aac", "mov"),
    ("matroska", "flac", "matroska"),
    ("webm", "libopus", "matroska"),
    ("avi", "libmp3lame", "avi"),
    ("mpegts", "aac", "mpegts"),
    ("mpeg", "mp2", "mpeg"),
    ("asf", "wmav2", "asf"),
    ("caf", "pcm_s16be", "caf"),
    ("flv", "aac", "flv"),
    ("au", "pcm_s16be", "au"),
    ("amr", "libopencore_amrnb", "amr"),
]


def opened_as(path: Path) -> str:
    with open_media(path, FIELD) as container:
        return container.format.name


def id3_tag(size: int) -> bytes:
    return b"ID3\x04\x00\x00" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + bytes(size)


@pytest.mark.parametrize(("container", "codec", "demuxer"), SOUNDS)
def test_containers_are_recognised_by_content_and_opened_whatever_their_name(
    tmp_path: Path, container: str, codec: str, demuxer: str
) -> None:
    rate = 8_000 if container == "amr" else 48_000
    try:
        path = write_sound(tmp_path / "holiday.png", speechlike(1, rate), rate, container, codec)
    except ValueError as error:
        if container != "amr":
            raise
        assert "amr" in str(error)  # this FFmpeg cannot write AMR
        path = tmp_path / "voice"
        path.write_bytes(b"#!AMR\n" + bytes([0x7C]) + bytes(12) * 1 + bytes(19))
        assert identify(path) == FileFormat(DEMUXERS[demuxer], demuxer)
        return
    assert describe(path) == DEMUXERS[demuxer]
    with open_media(path, FIELD) as container_:
        assert demuxer in container_.format.name.split(",")
        assert container_.streams.audio[0].codec_context.sample_rate == rate


def test_mp3_is_recognised_behind_large_tags_and_zeros(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "in", speechlike(1, 44_100), 44_100, "mp3", "libmp3lame", {"id3v2_version": "0"})
    plain = path.read_bytes()
    assert opened_as(path) == "mp3"
    tag = id3_tag(200_000)
    for content in (tag + plain, bytes(300) + plain, tag + bytes(100) + plain, tag + id3_tag(10) + plain):
        path.write_bytes(content)
        assert opened_as(path) == "mp3"


@pytest.mark.parametrize("size", [1_000, 1_500_000])
@pytest.mark.parametrize(
    ("container", "codec"), [("mp3", "libmp3lame"), ("flac", "flac"), ("adts", "aac"), ("wav", "pcm_s16le")]
)
def test_a_cover_picture_in_front_of_the_sound_changes_nothing_of_it(
    tmp_path: Path, limits: InputLimits, container: str, codec: str, size: int
) -> None:
    path = write_sound(tmp_path / "in", speechlike(1, 44_100), 44_100, container, codec)
    write_engine_audio(path, tmp_path / "plain.wav", limits, FIELD)
    path.write_bytes(id3_tag(size) + path.read_bytes())
    write_engine_audio(path, tmp_path / "tagged.wav", limits, FIELD)
    assert (tmp_path / "tagged.wav").read_bytes() == (tmp_path / "plain.wav").read_bytes()


def test_a_file_of_nothing_but_tags_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(id3_tag(0) * 1_000_000)
    with pytest.raises(StageError, match="unknown"), open_media(tmp_path / "in", FIELD):
        pass


def test_a_sync_word_alone_is_no_mp3(tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.write_bytes(b"\xff\xfb\x90\x00" + np.random.default_rng(0).bytes(5000))
    assert describe(path) == UNKNOWN.label
    with pytest.raises(StageError, match="unknown"), open_media(path, FIELD):
        pass


@given(st.binary(max_size=400))
def test_any_bytes_are_described_and_opened_or_refused(content: bytes) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        for head in (
            b"",
            b"ID3\x04\x00\x00\x00\x00\x00\x10",
            b"\xff\xfb",
            b"\xff\xf1",
            b"RIFF",
            b"\x00\x00\x00\x20ftyp",
        ):
            file.seek(0)
            file.truncate()
            file.write(head + content)
            file.flush()
            assert describe(Path(file.name))
            with suppress(StageError), open_media(Path(file.name), FIELD):
                pass


REFUSED = [
    (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "HLS playlist"),
    (b"ffconcat version 1.0\nfile '/etc/passwd'\n", "concat script"),
    (b"file '/etc/passwd'\nfile 'b.wav'\n", "concat script"),
    (b"# my list\nfile /etc/passwd\n", "concat script"),
    (b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">', "DASH manifest"),
    (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n", "SDP session"),
    (b"<!DOCTYPE html><html><body>Please sign in", "web page"),
    (b"\xef\xbb\xbf<html>", "web page"),
    (b'<svg xmlns="http://www.w3.org/2000/svg">', "SVG drawing"),
    (b'{"error": "not found"}', "JSON document"),
    ("Grüße".encode(), "text"),
    ("Grüße".encode("utf-16"), "text"),
    (b"%PDF-1.7\n", "PDF"),
    (b"GIF89a" + bytes(20), "GIF"),
    (b"MThd" + bytes(20), "MIDI"),
    (b"PK\x03\x04" + bytes(20), "archive"),
    (b"", "empty"),
    (b"\x7fELF" + bytes(60), "unknown"),
    (b"\x00\x00\x00\x18ftypheic" + bytes(20), "HEIC"),
]


@pytest.mark.parametrize(("content", "name"), REFUSED)
def test_what_is_neither_sound_nor_video_is_refused_by_its_name(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / "voice.wav"
    path.write_bytes(content)
    with pytest.raises(StageError) as caught, open_media(path, FIELD):
        pass
    assert (caught.value.code, caught.value.field) == (ErrorCode.INPUT_VALIDATION, FIELD)
    assert name in caught.value.message
    assert "/etc/passwd" not in str(caught.value)


@pytest.mark.parametrize("script", ["#EXTM3U\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n", "ffconcat version 1.0\nfile '{}'\n"])
@pytest.mark.parametrize("prefix", ["", "ID3\x04\x00\x00\x00\x00\x00\x00", "\x00\x00\x00\x08wide"])
def test_a_script_named_like_a_sound_does_not_read_other_files(
    tmp_path: Path, limits: InputLimits, script: str, prefix: str
) -> None:
    secret = write_wav(tmp_path / "secret.wav", speechlike(1, 16_000), 16_000)
    path = tmp_path / "voice.wav"
    path.write_bytes((prefix + script.format(secret)).encode())
    with pytest.raises(StageError) as caught:
        write_engine_audio(path, tmp_path / "out.wav", limits, FIELD)
    assert caught.value.code is ErrorCode.INPUT_VALIDATION
    assert not (tmp_path / "out.wav").exists()
    assert "secret" not in str(caught.value)


def with_outside_data(movie: bytes, target: str) -> bytes:
    """A QuickTime file whose samples are said to lie in another file: a Macintosh alias record, as FFmpeg reads it."""
    path = target.replace("/", ":").encode()
    path += bytes(len(path) % 2)
    alias = (
        bytes(10) + bytes([0]) + bytes(27) + bytes(12) + bytes([0]) + bytes(63) + bytes(16) + struct.pack(">HH", 1, 1)
    )
    alias += bytes(16) + struct.pack(">HH", 2, len(path)) + path + struct.pack(">HH", 0xFFFF, 0)
    entry = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    start = movie.index(b"dref") - 4
    size = int.from_bytes(movie[start : start + 4], "big")
    dref = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry
    grown = len(dref) - size
    patched = bytearray(movie[:start] + dref + movie[start + size :])
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        at = patched.index(name) - 4
        patched[at : at + 4] = (int.from_bytes(patched[at : at + 4], "big") + grown).to_bytes(4, "big")
    return bytes(patched)


def test_a_movie_that_refers_to_another_file_does_not_read_it(tmp_path: Path, limits: InputLimits) -> None:
    secret = write_wav(tmp_path / "secret.wav", speechlike(1, 16_000), 16_000)
    path = write_sound(tmp_path / "in.mov", np.zeros((1, 16_000), np.float32), 16_000, "mov", "pcm_s16le")
    assert write_engine_audio(path, tmp_path / "out.wav", limits, FIELD).warnings == ("The sound is silent.",)
    path.write_bytes(with_outside_data(path.read_bytes(), secret.as_posix()))
    options = {"enable_drefs": "1", "use_absolute_path": "1"}
    with av.open(path.as_posix(), format="mov", options=options) as naive:
        leaked = np.concatenate([frame.to_ndarray()[0] for frame in naive.decode(audio=0)])
        assert np.abs(leaked).max() > 1000, "the file really is a trap"
    with pytest.raises(StageError) as caught:
        write_engine_audio(path, tmp_path / "second.wav", limits, FIELD)
    assert caught.value.code is ErrorCode.INPUT_VALIDATION
    assert not (tmp_path / "second.wav").exists()


def test_attachments_are_neither_read_nor_written(tmp_path: Path, limits: InputLimits) -> None:
    path = tmp_path / "in"
    with av.open(path.as_posix(), "w", format="matroska") as file:
        file.add_attachment("../escaped.ttf", "application/x-truetype-font", b"#!/bin/sh")
        stream = file.add_stream("pcm_s16le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.ones((1, 16_000), np.int16), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 16_000, 0, Fraction(1, 16_000)
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    assert write_engine_audio(path, tmp_path / "out.wav", limits, FIELD).samples == 16_000
    assert sorted(found.name for found in tmp_path.iterdir()) == ["in", "out.wav"]
    assert not (tmp_path.parent / "escaped.ttf").exists()


def test_a_picture_is_not_opened_as_a_video(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (80, 80)).save(buffer, "PNG")
    (tmp_path / "voice").write_bytes(buffer.getvalue())
    with pytest.raises(StageError, match="PNG picture"), open_media(tmp_path / "voice", FIELD):
        pass


@pytest.mark.parametrize("keep", [12, 30, 44, 200])
def test_a_file_cut_off_after_its_header_is_refused_with_a_reason(
    tmp_path: Path, limits: InputLimits, keep: int
) -> None:
    for number, (container, codec, _) in enumerate(SOUNDS[:-1]):
        path = tmp_path / f"{number}"
        write_sound(path, speechlike(0.3, 48_000), 48_000, container, codec)
        path.write_bytes(path.read_bytes()[:keep])
        try:
            write_engine_audio(path, tmp_path / "out.wav", limits, FIELD)
        except StageError as error:
            assert error.code is ErrorCode.INPUT_VALIDATION
            assert str(tmp_path) not in str(error)


def test_streams_after_the_sixty_fourth_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "in"
    with av.open(path.as_posix(), "w", format="matroska") as file:
        streams = [file.add_stream("pcm_s16le", rate=8_000, layout="mono") for _ in range(80)]
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 80), np.int16), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 8_000, 0, Fraction(1, 8_000)
        for stream in streams:
            file.mux(stream.encode(frame))
    with open_media(path, FIELD) as container:
        assert len(container.streams) == 64


def test_a_codec_outside_the_whitelist_is_refused_by_name(tmp_path: Path, limits: InputLimits) -> None:
    path = write_sound(tmp_path / "in", speechlike(1, 16_000), 16_000, "matroska", "tta")
    with pytest.raises(StageError, match="tta"):
        write_engine_audio(path, tmp_path / "out.wav", limits, FIELD)


def test_a_damaged_video_is_named_as_a_video(tmp_path: Path, limits: InputLimits) -> None:
    path = write_video(tmp_path / "in", [np.zeros((64, 64, 3), np.uint8)] * 3, [Fraction(n, 25) for n in range(3)])
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(StageError, match="MP4") as caught:
        write_engine_audio(path, tmp_path / "out.wav", limits, FIELD)
    assert caught.value.code is ErrorCode.INPUT_VALIDATION


PLAYLISTS = [
    b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    b"ffconcat version 1.0\nfile '/etc/passwd'\n",
]


@pytest.mark.parametrize("content", PLAYLISTS)
def test_ffmpeg_itself_refuses_a_playlist_before_it_opens_anything(content: bytes) -> None:
    """The whitelist holds also where this project's own look at the first bytes would fail."""
    opened: list[object] = []
    with (
        pytest.raises(av.error.FFmpegError),
        av.open(io.BytesIO(content), container_options=OPTIONS, io_open=lambda *args: opened.append(args)),
    ):
        pass
    assert opened == []


def test_ffmpeg_obeys_its_whitelist_of_formats(tmp_path: Path) -> None:
    tta = write_sound(tmp_path / "in", speechlike(1, 16_000), 16_000, "tta", "tta").read_bytes()
    wav = write_wav(tmp_path / "in.wav", speechlike(1, 16_000), 16_000).read_bytes()

    def opened(content: bytes, **options: str) -> str:
        with av.open(io.BytesIO(content), container_options=OPTIONS | options) as container:
            return container.format.name

    assert opened(wav) == "wav"
    assert opened(tta, format_whitelist="tta") == "tta"
    for content, options in ((tta, {}), (wav, {"format_whitelist": "mp3,flac"})):
        with pytest.raises(av.error.ArgumentError):
            opened(content, **options)


def test_a_format_outside_the_whitelist_is_refused(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "in", speechlike(1, 16_000), 16_000, "tta", "tta")
    with pytest.raises(StageError, match="unknown"), open_media(path, FIELD):
        pass
