"""The options of ./demo, read before anything is set up. Prints the help, or nothing."""

import argparse
from pathlib import Path

ABOUT = """The whole system on one machine: a face's blinks become a page of history.

Starts a broker, the server, its consumer and both of the device's processes in a temporary folder;
presses the button, lets the device watch a blinking face, ends the session, and shows what the
caregiver reads. Removes everything at the end."""


def read() -> argparse.Namespace:
    """Return the options; wrong ones end the process."""
    parser = argparse.ArgumentParser(
        prog="./demo", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    eyes = parser.add_mutually_exclusive_group()
    eyes.add_argument("--video", type=Path, help="watch this video instead of the portrait")
    eyes.add_argument("--camera", action="store_true", help="watch through /dev/video0")
    parser.add_argument("--seconds", type=float, default=24.0, help="how long to watch")
    parser.add_argument(
        "--once", action="store_true", help="exit at the end, with status 0 on success"
    )
    options = parser.parse_args()
    if options.video is not None and not options.video.is_file():
        parser.error(f"--video: expected a video file, found nothing at {options.video}")
    return options


if __name__ == "__main__":
    read()
