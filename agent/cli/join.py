"""`blink-agent join`: the root service that joins a network and enrols."""

import argparse
import signal
import sys
from pathlib import Path

from agent import config
from agent.cli.enrol import config_file, forget_check, undelivered
from agent.enrol.join import Joining
from agent.system import systemd


def run(options: argparse.Namespace) -> None:
    """Take a code that `watch` has read, and a file on the boot partition."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that secrets are removed
    file = config_file(options.config)
    Joining(
        file,
        count_unsent=lambda: undelivered(config.load(file)),
        enrolled=lambda: _enrolled(file),
    ).run()


def _enrolled(file: Path) -> None:
    """Forget what is of the former person, and restart delivery."""
    forget_check(config.load(file))
    print(systemd.restart(systemd.SYNC))
