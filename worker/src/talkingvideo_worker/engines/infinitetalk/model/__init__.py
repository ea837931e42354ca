"""The transformer: Wan 2.1's blocks with an attention to the sound."""
