from __future__ import annotations

import numpy as np
import pytest
import skimage.data

from talkingvideo_worker.faces import Picture


@pytest.fixture(scope="session")
def astronaut() -> Picture:
    return np.asarray(skimage.data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="session")
def two_astronauts(astronaut: Picture) -> Picture:
    one = astronaut[0:400, 60:400]
    return np.hstack([one, one[:, ::-1]])
