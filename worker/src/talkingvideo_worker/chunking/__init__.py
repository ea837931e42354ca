"""Where a track is cut into chunks, and a chunk into windows: pure decisions over measured sound."""
