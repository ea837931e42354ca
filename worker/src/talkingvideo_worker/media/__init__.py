"""Encoding, joining and checking of video files, in-process through PyAV."""
