"""What the images add to their base image, unpacked (root, buildah): ``uv run python bench/images.py``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.cluster.images import Image, built_image

LIMITS = {Image.GATEWAY: 150, Image.OPERATOR: 200, Image.WORKER_PREVIEW: 700}
"""Megabytes that must not be reached."""


def main() -> None:
    """Print the table."""
    print("| image | adds, MB | limit, MB |\n|---|---|---|")
    for image, limit in LIMITS.items():
        print(f"| {image.title} {image.target} | {built_image(image).added_bytes() / 1e6:.0f} | {limit} |")


if __name__ == "__main__":
    main()
