"""``python -m talkingvideo_cli``."""

from talkingvideo_cli.cli import main

if __name__ == "__main__":
    main()
