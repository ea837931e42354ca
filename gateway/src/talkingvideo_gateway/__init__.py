"""The gateway: HTTP in front of TalkingVideos.

A request becomes a TalkingVideo, and every answer is made from one. What stands behind is a cluster, whose objects are the
only database, or this machine (``local/``). Dialects translate; they decide nothing.
"""
