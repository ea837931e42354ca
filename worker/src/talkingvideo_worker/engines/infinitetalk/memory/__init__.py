"""Which weights are on the GPU, in which format, and what happens when its memory runs out."""
