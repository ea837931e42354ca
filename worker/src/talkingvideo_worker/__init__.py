"""The stages of a talking video, each idempotent and resumable, and the ``talkingvideo`` command that runs them."""
