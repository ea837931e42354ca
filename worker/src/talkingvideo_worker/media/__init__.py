"""Decoding, encoding, joining and verifying of media files, in-process through PyAV, and reading of pictures."""
