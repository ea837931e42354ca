"""Builds the manifests of a video's children: Jobs, their pods, and the stage input."""
