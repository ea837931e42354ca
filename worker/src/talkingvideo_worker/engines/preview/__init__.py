"""A fast engine for machines without GPU and weights. It watermarks its videos as previews."""

from talkingvideo_worker.engines.preview.engine import PreviewEngine

__all__ = ["PreviewEngine"]
