"""Text to speech, by a separate process."""

from talkingvideo_worker.speech.speak import Speech, speak

__all__ = ["Speech", "speak"]
