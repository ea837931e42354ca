"""``talkingvideo run``: the same YAML and the same three stages, without a cluster."""
