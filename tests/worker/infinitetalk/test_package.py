"""What the package exports."""

from __future__ import annotations

import subprocess
import sys

import pytest

from talkingvideo_worker.engines import infinitetalk


def test_the_package_is_imported_without_torch() -> None:
    code = "import sys, talkingvideo_worker.engines.infinitetalk; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", infinitetalk.__all__)
def test_every_public_name_exists(name: str) -> None:
    assert getattr(infinitetalk, name).__name__ == name


def test_other_names_do_not_exist() -> None:
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = infinitetalk.nothing_like_it
