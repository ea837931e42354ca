"""Manifests of a video's children."""
