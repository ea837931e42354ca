"""Text to speech, by a separate process."""

from talkingvideo_worker.speech.synthesis import Speech, UnknownVoiceError, speak

__all__ = ["Speech", "UnknownVoiceError", "speak"]
