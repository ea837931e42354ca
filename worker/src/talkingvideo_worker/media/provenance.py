"""What a finished file says about itself."""

from __future__ import annotations

from collections.abc import Mapping

AI_GENERATED = (
    "AI-generated video: the picture was animated by software to match the voice. "
    "Digital source type: http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
)
"""The statement in every result, with IPTC's term for machines."""

STANDARD_TAGS = frozenset({"album", "artist", "composer", "copyright", "date", "description", "genre", "title"})
"""What FFmpeg's mp4 muxer writes as tags that players show. (Its ``use_metadata_tags`` would write any name, but in
QuickTime's form *instead* of these, and players then show no comment.)"""


def file_tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """Arrange metadata as mp4 tags.

    Args:
        metadata: Names and values. ``comment`` follows the statement that the file is AI-generated; a name that mp4 has
            no tag for becomes a line ``name: value`` of the comment.

    Returns:
        Tags for the muxer; ``comment`` is always among them.
    """
    tags = {name: value for name, value in metadata.items() if name in STANDARD_TAGS}
    lines = [AI_GENERATED]
    if comment := metadata.get("comment"):
        lines.append(comment)
    lines += [f"{name}: {value}" for name, value in metadata.items() if name not in STANDARD_TAGS | {"comment"}]
    return tags | {"comment": "\n".join(lines)}
