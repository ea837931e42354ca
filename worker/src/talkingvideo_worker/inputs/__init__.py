"""Fetching inputs safely: who may be asked, how much is taken, and nothing is parsed."""

from talkingvideo_worker.inputs.fetch import Fetcher, fetch
from talkingvideo_worker.inputs.policy import Fetched, FetchPolicy, Mounts

__all__ = ["FetchPolicy", "Fetched", "Fetcher", "Mounts", "fetch"]
