"""Texts under the names of media: scripts and documents that would make a decoder open other files or addresses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.profile import InputLimits
from talkingvideo_worker.media.engine_audio import write_engine_audio
from talkingvideo_worker.media.picture import read_mask, read_picture
from talkingvideo_worker.media.video import first_frame

from .conftest import speechlike, write_wav

FIELD = "spec.source.image.uri"

TEXTS = {
    "HLS playlist": "#EXTM3U\n#EXTINF:1,\nfile://{}\n#EXT-X-ENDLIST\n",
    "HLS playlist with a key": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="file://{}"\n#EXTINF:1,\na.ts\n',
    "HLS playlist with a map": '#EXTM3U\n#EXT-X-MAP:URI="file://{}"\n#EXTINF:1,\na.ts\n',
    "HLS playlist of playlists": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nfile://{}\n",
    "HLS playlist of an inner address": "#EXTM3U\n#EXTINF:1,\nhttp://169.254.169.254/latest/meta-data/\n",
    "HLS playlist behind a mark": "\ufeff#EXTM3U\n#EXTINF:1,\n{}\n",
    "HLS playlist by concat": "#EXTM3U\n#EXTINF:1,\nconcat:{}|{}\n#EXT-X-ENDLIST\n",
    "HLS playlist by subfile": "#EXTM3U\n#EXTINF:1,\nsubfile,,start,0,end,99,,:{}\n",
    "HLS playlist by crypto": "#EXTM3U\n#EXTINF:1,\ncrypto+file://{}\n",
    "plain playlist": "{}\n{}\n",
    "playlist of Winamp": "[playlist]\nFile1={}\nNumberOfEntries=1\n",
    "concat script": "ffconcat version 1.0\nfile '{}'\n",
    "concat script without its mark": "file '{}'\n",
    "concat script of options": "ffconcat version 1.0\nfile '{}'\noption safe 0\n",
    "concat script by protocol": "ffconcat version 1.0\nfile 'pipe:0'\n",
    "DASH manifest": '<?xml version="1.0"?><MPD><Period><BaseURL>file://{}</BaseURL></Period></MPD>',
    "DASH manifest of an entity": '<!DOCTYPE MPD [<!ENTITY x SYSTEM "file://{}">]><MPD>&x;</MPD>',
    "smooth streaming": '<SmoothStreamingMedia><StreamIndex Url="file://{}"/></SmoothStreamingMedia>',
    "session description": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nc=IN IP4 127.0.0.1\r\nm=audio 9 RTP/AVP 0\r\n",
    "RTSP reference": "[Reference]\nRef1=rtsp://127.0.0.1/\n",
    "ASX": '<asx version="3"><entry><ref href="file://{}"/></entry></asx>',
    "SMIL": '<smil><body><video src="file://{}"/></body></smil>',
    "SVG with a picture": '<svg xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="file://{}"/></svg>',
    "SVG with an entity": '<!DOCTYPE svg [<!ENTITY x SYSTEM "file://{}">]><svg>&x;</svg>',
    "MVG of ImageMagick": "push graphic-context\nviewbox 0 0 9 9\nimage over 0,0 0,0 'ephemeral:{}'\n",
    "MSL of ImageMagick": '<image><read filename="{}"/><write filename="/tmp/x"/></image>',
    "PostScript": "%!PS-Adobe-3.0\n({}) (r) file\n",
    "EPS": "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n({}) run\n",
    "X pixmap": '/* XPM */\nstatic char *x[] = {"1 1 1 1", "a c #000", "a"}; /* {} */\n',
    "X bitmap": "#define x_width 8\n#define x_height 8\nstatic char x_bits[] = {0x00}; /* {} */\n",
    "portable pixmap": "P3\n80 80\n255\n" + "9 " * 19_200,
    "Scenarist subtitles": "WEBVTT\n\n00:00.000 --> 00:01.000\n{}\n",
    "ASS subtitles": "[Script Info]\n[Fonts]\nfontname: {}\n",
    "AviSynth script": 'AviSource("{}")\n',
    "VapourSynth script": "import vapoursynth\nvapoursynth.core.ffms2.Source('{}')\n",
    "filter graph": "amovie={},asplit\n",
    "shell script": "#!/bin/sh\ncat {}\n",
    "web page": "<!DOCTYPE html><html><body>Please sign in</body></html>",
    "JSON": '{"error": "{}"}',
    "base64 of a picture": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
}
"""Each may refer to another file, whose path takes the place of ``{}``."""

OPENED: dict[str, Callable[[Path, InputLimits], object]] = {
    "voice.wav": lambda path, limits: write_engine_audio(path, path.with_name("out.wav"), limits, FIELD),
    "film.mp4": lambda path, limits: first_frame(path, limits, FIELD),
    "face.png": lambda path, limits: read_picture(path, limits, FIELD),
    "mask.png": lambda path, limits: read_mask(path, limits, FIELD),
}
"""What opens a file of that name."""


@pytest.mark.parametrize("name", OPENED)
@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
def test_a_text_is_refused_by_name_and_nothing_that_it_refers_to_is_opened(
    tmp_path: Path, limits: InputLimits, text: str, name: str
) -> None:
    referred = write_wav(tmp_path / "referred.wav", speechlike(1, 16_000), 16_000)
    path = tmp_path / name
    path.write_text(text.replace("{}", referred.as_posix()))
    before = referred.stat().st_atime_ns
    with pytest.raises(StageError) as caught:
        OPENED[name](path, limits)
    assert (caught.value.code, caught.value.field) == (ErrorCode.INPUT_VALIDATION, FIELD)
    assert not caught.value.retryable
    assert "referred" not in str(caught.value)
    assert referred.stat().st_atime_ns == before
    assert sorted(found.name for found in tmp_path.iterdir()) == sorted(["referred.wav", name])
