"""How a video is divided into chunks, and a chunk into windows: pure functions of measured sound."""
