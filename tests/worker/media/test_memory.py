"""Peak memory of a process of its own, for a short and a long video that is one chunk.

The join runs beside the libraries that the stitch stage has loaded. What it may grow by is the muxer's index: 8 MB for
the 86,000 packets of 20 minutes with sound at 48 kHz.
"""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.media

ENCODE = """
import resource, sys
from pathlib import Path
import numpy as np
from talkingvideo_worker.media.encoder import SegmentEncoder
pictures = np.random.default_rng(0).integers(0, 255, (4, 64, 64, 3), np.uint8)
with SegmentEncoder(Path(sys.argv[1]) / "s.mp4", 64, 64) as encoder:
    for number in range(int(sys.argv[2]) * 1_500):
        encoder.write(pictures[number % 4])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

JOIN = """
import resource, sys
import boto3, cv2, pydantic
from pathlib import Path
import av, numpy as np
from talkingvideo_worker.media.encoder import SegmentEncoder
from talkingvideo_worker.media.join import join_segments
folder, seconds = Path(sys.argv[1]), int(sys.argv[2]) * 60
pictures = np.random.default_rng(0).integers(0, 255, (4, 256, 256, 3), np.uint8)
with SegmentEncoder(folder / "s.mp4", 256, 256) as encoder:
    for number in range(75):
        encoder.write(pictures[number % 4])
with av.open(str(folder / "sound.m4a"), "w", format="mp4") as file:
    track = file.add_stream("aac", rate=16_000, layout="mono")
    for second in range(seconds):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16_000, second * 16_000
        file.mux(track.encode(frame))
    file.mux(track.encode(None))
assert join_segments([folder / "s.mp4"] * (seconds // 3), folder / "sound.m4a", folder / "out.mp4", {}).seconds == seconds
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(program: str, folder: Path, minutes: int) -> int:
    command = [sys.executable, "-c", program, str(folder), str(minutes)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.parametrize(("program", "minutes"), [(ENCODE, 4), (JOIN, 20)], ids=["encode", "join"])
def test_memory_does_not_grow_with_the_length(tmp_path: Path, program: str, minutes: int) -> None:
    assert peak(program, tmp_path, minutes) < peak(program, tmp_path, 1) * 1.1
