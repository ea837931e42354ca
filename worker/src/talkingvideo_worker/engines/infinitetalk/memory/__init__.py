"""How the networks are laid out in memory: modes, quantisation, blocks brought to the GPU when they are needed."""
