"""blink-agent: parse the command line and run a command. Each group of commands has its own file.

These files import at the top only what all their commands need. Commands import cameras, models,
networking and plotting themselves: on a small Pi every megabyte and every second of start-up
counts.
"""

import argparse
import io
import logging
import os
import re
import sys
from pathlib import Path

from agent import __version__, config
from agent.cli import device, offline, release, services, sessions
from agent.cli.delivery import Run
from agent.errors import AgentError

DASHED_FINGERPRINT = re.compile(r"-[\w-]{21}", re.ASCII)
"""A fingerprint in base64url that begins with a dash, as one in 64 does."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # characters outside the locale must not raise
        sys.stdout.reconfigure(errors="replace")
    words = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(fingerprints_as_values(words))
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO, format="%(levelname)s %(message)s"
    )
    try:
        status = int(options.run(options) or 0)
        sys.stdout.flush()
        return status
    except AgentError as error:
        print(f"blink-agent: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader has exited, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130


def fingerprints_as_values(arguments: list[str]) -> list[str]:
    """Mark fingerprints that begin with a dash, which argparse would take for options."""
    marked: list[str] = []
    for word in arguments:
        before = marked[-1] if marked else ""
        if DASHED_FINGERPRINT.fullmatch(word) and before.endswith("-fingerprint"):
            marked[-1] = f"{before}={word}"
        elif DASHED_FINGERPRINT.fullmatch(word) and before == "trust":
            marked += ["--", word]
        else:
            marked.append(word)
    return marked


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="blink-agent", description="Measure blinks on this device and deliver sessions."
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "--config", type=Path, help=f"configuration file; default {config.DEFAULT_FILE}"
    )
    parser.add_argument("--verbose", action="store_true", help="log debug messages")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Run, about: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, description=about)
        added.set_defaults(run=run)
        return added

    for group in (services, sessions, device, release, offline):
        group.add_commands(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
