"""`kubectl talkingvideo`: talking videos on a cluster, without YAML."""
