"""`blink-agent join`: the root service that joins a network and enrols."""

import argparse
import signal
import sys

from agent import config
from agent.cli.enrol import config_file, undelivered
from agent.enrol.join import Joining
from agent.system import systemd


def run(options: argparse.Namespace) -> None:
    """Take a code that `watch` has read, and a file on the boot partition."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that secrets are removed
    file = config_file(options.config)
    Joining(
        file,
        count_unsent=lambda: undelivered(config.load(file)),
        enrolled=lambda: print(systemd.restart(systemd.SYNC)),
    ).run()
