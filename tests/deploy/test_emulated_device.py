"""What the emulated device is given fits this tree. tests/device/run boots the device itself."""

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from agent import config
from agent.cli import watch
from agent.measure.metrics import Metrics
from agent.watch.loop import Watch
from tests.device import payload, run, steps_everyday

SERVES = "from agent.watch.loop import Watch; Watch.run(None, None)"


def test_every_step_has_a_name_of_its_own() -> None:
    known = [run.INSTALL, *run.DAY]
    steps = [
        *known,
        *(each for each in (*run.NIGHT, *run.NEW, *run.UPDATED) if each not in run.PREPARED),
    ]
    assert len(run.NAMES) == len(steps)


def test_its_configuration_is_valid(tmp_path: Path) -> None:
    settings = config.parse(payload.configuration(), tmp_path / "agent.toml", {})
    assert (settings.camera.source, settings.controls.pins) == ("replay", "gpio")


def test_what_is_compared_between_processors_is_measured() -> None:
    """Counts are compared exactly; each other number has its own bound."""
    counted = {"blink_rate_per_min"}  # a count by a time of whole frames
    shares = {field.name for field in fields(Metrics) if "float" in str(field.type)}
    assert set(steps_everyday.CLOSE) == shares - counted - {"duration_s", "valid_s", "coverage"}


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
