"""No part loses what it promised to keep in power cuts that lose unsynced writes."""

import json
import subprocess
import sys

import pytest

from bench.powercuts.main import KINDS, Kind
from bench.powercuts.part import run
from bench.powercuts.recording import unavailable
from bench.powercuts.with_device_store import DeviceStore
from bench.powercuts.with_enrolment import Enrolment
from bench.powercuts.with_installer import Installer
from bench.powercuts.with_server import Server

pytestmark = [
    pytest.mark.skipif(unavailable() is not None, reason=unavailable() or ""),
    pytest.mark.timeout(600),  # beside other work a recording of the installer takes a minute
]

SEED = "of the tests"
CUTS = {DeviceStore: 120, Enrolment: 50, Installer: 50, Server: 50}  # of the others 40


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_nothing_that_was_promised_is_lost_doubled_or_wrong(kind: Kind) -> None:
    tally = run(kind.make, CUTS.get(kind.make, 40), kind.per_recording, SEED)
    assert tally.clean, tally.failures
    assert tally.sessions


def test_it_prints_one_object() -> None:
    command = [sys.executable, "-m", "bench.powercuts", "--cuts", "4", "--json"]
    result = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert result.keys() >= {"cuts", "sessions", "lost", "doubled", "wrong", "could_not_open"}
    assert result["cuts"] == 4
    assert not any(result[name] for name in ("lost", "doubled", "wrong", "could_not_open"))
