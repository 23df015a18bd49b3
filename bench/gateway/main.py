"""What becomes of records, of Blinklog and of a published gateway, killed and cut off alike.

    python -m bench.gateway [--kills N] [--cuts N] [--seed N] [--json]

Each makes a record every 50 ms and delivers it over HTTP to a server of its own. First, processes
are killed (kill -9) at random moments, the same for both, and started again; in the end everything
runs until nothing is unsent. Then the power is cut, as by `bench.powercuts`: without root and FUSE
that is left out. A record counts as in once its storage has accepted it.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from bench.environments import loud
from bench.gateway.cuts import FAULTS, cut
from bench.gateway.kills import VICTIMS, killed
from bench.gateway.rows import Row, table
from bench.gateway.sides import BLINKLOG, Side, sides
from bench.powercuts.recording import unavailable


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if a record of Blinklog's is lost, doubled or wrong."""
    options = _options(arguments)
    rows = list(_rows(sides(), options))
    print(json.dumps([asdict(row) for row in rows], indent=2) if options.json else table(rows))
    return int(not all(row.clean for row in rows if row.side == BLINKLOG.name))


def _rows(compared: Sequence[Side], options: argparse.Namespace) -> list[Row]:
    rows = []
    for fault in VICTIMS if options.kills else ():
        for side in compared:
            _tell(f"{options.kills:4} x {fault}, {side.name}")
            rows.append(killed(side, fault, options.kills, options.seed))
    if options.cuts and (why := unavailable()):
        loud(f"no power cuts: {why}")
    elif options.cuts:
        _tell(f"{options.cuts:4} x {' and '.join(FAULTS)}")
        rows += cut(compared, options.cuts, options.seed)
    return rows


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gateway", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--kills", type=int, default=30, metavar="N", help="in each row (30)")
    parser.add_argument("--cuts", type=int, default=1000, metavar="N", help="of each side (1000)")
    parser.add_argument("--seed", type=int, default=1, help="of the kills and the cuts (1)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
