"""Text to speech, in separate processes."""

from talkingvideo_worker.speech.synthesis import SynthesizedSpeech, UnknownVoiceError, synthesize

__all__ = ["SynthesizedSpeech", "UnknownVoiceError", "synthesize"]
