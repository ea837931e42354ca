"""Engines: what turns a picture and a sound into frames, found by entry point (group ``talkingvideo.engines``)."""
