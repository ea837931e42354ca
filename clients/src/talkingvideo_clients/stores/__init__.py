"""Stores: where the workspace, finished chunks and results are kept; a folder or a bucket, with one interface."""
