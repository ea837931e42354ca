"""Kernels: which attention, and whether the blocks are compiled."""
