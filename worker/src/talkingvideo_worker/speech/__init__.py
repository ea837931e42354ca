"""Text to speech, by a separate process."""

from talkingvideo_worker.speech.speak import Speech, UnknownVoiceError, speak

__all__ = ["Speech", "UnknownVoiceError", "speak"]
