"""Attack a throw-away installation over HTTP, as insiders and strangers could; print what held.

    python -m bench.attack

The installation is in a temporary folder, and all requests go to 127.0.0.1. Exits with 1 if an
attack succeeded. Insiders come first: the strangers use up limits.
"""

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.attack.insiders import INSIDERS
from bench.attack.outsiders import OUTSIDERS
from bench.attack.target import Attack, installation

ATTACKS: tuple[Attack, ...] = (*INSIDERS, *OUTSIDERS)


def main() -> int:
    """Run all attacks; return 1 if one succeeded."""
    argparse.ArgumentParser(prog="bench.attack", description=__doc__).parse_args()
    broken = 0
    with tempfile.TemporaryDirectory(prefix="blinklog-attack-") as folder, ExitStack() as stack:
        target = stack.enter_context(installation(Path(folder)))
        for attack in ATTACKS:
            problem = attack(target)
            broken += problem is not None
            words = (attack.__doc__ or "").strip()
            print(f"{'BROKEN' if problem else 'held':7} {words}{f': {problem}' if problem else ''}")
    return 1 if broken else 0
