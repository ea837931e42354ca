"""``python -m talkingvideo_operator``."""

from talkingvideo_operator.cli import main

main()
