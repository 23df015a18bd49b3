"""The server's secret key is made once: no power cut may bring another."""

import tempfile
from pathlib import Path
from random import Random

import pytest

from bench.powercuts.disk import Disk
from bench.powercuts.recording import Marker, record, unavailable
from server.operations.secret_key import keep_secret_key

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "")

CUTS = 60


def test_a_key_that_was_given_out_survives_a_power_cut(tmp_path: Path) -> None:
    keys = []

    def drive(folder: Path, mark: Marker) -> None:
        keys.append(keep_secret_key(folder / "secret_key"))
        mark("given out")

    log = record(drive)
    disk = Disk(log)
    disk.at(len(log))
    for seed in range(CUTS):
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        disk.write_to(folder, Random(seed))
        assert keep_secret_key(folder / "secret_key") == keys[0]
