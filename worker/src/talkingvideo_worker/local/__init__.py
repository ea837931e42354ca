"""``talkingvideo run`` and ``plan``: the same YAML and the same three stages, without a cluster."""
