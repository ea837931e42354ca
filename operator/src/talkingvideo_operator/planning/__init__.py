"""Decides what happens next to a video.

Every function here is pure: it calls no client and reads no clock, so that a decision can be made again after a crash
at any point, and tested without a cluster.
"""
