"""The engine for a machine with neither GPU nor weights: honest about what it is, and quick."""

from talkingvideo_worker.engines.preview.engine import PreviewEngine

__all__ = ["PreviewEngine"]
