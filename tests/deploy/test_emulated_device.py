"""What the emulated device is given fits this tree. tests/device/run boots the device itself."""

import os
import subprocess
import sys
from pathlib import Path

from agent import config
from agent.cli import watch
from agent.watch.loop import Watch
from tests.device import payload, run

SERVES = "from agent.watch.loop import Watch; Watch.run(None, None)"


def test_every_step_has_a_name_of_its_own() -> None:
    steps = [run.INSTALL, *run.DAY, *(each for each in run.NIGHT if each not in run.PREPARED)]
    assert len(run.NAMES) == len(steps)


def test_its_configuration_is_valid(tmp_path: Path) -> None:
    settings = config.parse(payload.configuration(), tmp_path / "agent.toml", {})
    assert (settings.camera.source, settings.controls.pins) == ("replay", "gpio")


def test_the_release_that_must_fail_fails_in_its_service_alone(tmp_path: Path) -> None:
    tree = payload.broken_tree(tmp_path / "tree")
    assert watch.Watch is Watch  # what is broken is what the service runs
    done = subprocess.run(
        [sys.executable, "-c", SERVES],
        env={**os.environ, "PYTHONPATH": str(tree)},
        cwd=tree,
        check=False,
    )
    assert done.returncode == 3
