"""blink-agent: the commands. Each kind has a file of its own; `cli_parts` joins the parts.

Those files import at their top what all their commands need, and what looks, talks or draws inside
of the commands that do: on a small Pi each megabyte counts, and each second before a prompt.
"""

import argparse
import io
import logging
import os
import sys
from pathlib import Path

from agent import __version__, config
from agent.cli import device, offline, services, sessions
from agent.cli.delivery import Run
from agent.errors import AgentError


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns its exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a locale that can't show it must not end us
        sys.stdout.reconfigure(errors="replace")
    options = _parser().parse_args(arguments)
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
    except BrokenPipeError:  # as of `| head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="blink-agent", description="Measures blinks on the device and delivers sessions."
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument("--config", type=Path, help=f"default {config.DEFAULT_FILE}")
    parser.add_argument("--verbose", action="store_true", help="log in detail")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Run, about: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, description=about)
        added.set_defaults(run=run)
        return added

    for kind in (services, sessions, device, offline):
        kind.add_commands(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
