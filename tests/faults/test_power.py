"""The real `blink-agent watch`, with the real model on a real video, and the plug pulled."""

import contextlib
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.errors import ModelError
from agent.face import models
from agent.store.store import Store
from scripts.portrait import demo_schedule, load_portrait, write_video
from tests.broker import needs_mosquitto
from tests.faults.harness import Site
from tests.faults.launcher import until

pytestmark = [pytest.mark.needs_broker, needs_mosquitto]

VIDEO_S, FPS = 6.0, 15.0
PULLS = 8


class Watch:
    """The device's watch: a button that can be pressed, a store that can be looked into."""

    def __init__(self, site: Site, video: Path) -> None:
        self.site = site
        self.store = site.device.store
        config = site.device.folder / "watch.toml"
        config.write_text(
            site.device.config.read_text() + f'[camera]\nsource = "replay"\nfile = "{video}"\n'
            'loop = true\n[session]\ncheckpoint_s = 1\n[controls]\npins = "mock"\n'
        )
        self.program = site.agent("--config", config, "watch", log="watch.log")

    def newest(self) -> dict[str, Any]:
        """The newest session of the store, or nothing."""
        with contextlib.closing(Store(self.store)) as store:
            sessions = store.sessions(1)
            return sessions[0].document if sessions else {"state": None, "revision": 0}

    def begin(self) -> None:
        """Starts it, and then a session by a short press of the button."""
        self.power_up()
        until(self._pressed, "the press is obeyed", every_s=1)

    def _pressed(self) -> bool:
        """Again where it was not obeyed: on a machine that stalls, both edges may come at once and
        then pass for a contact that bounces."""
        assert self.program.process is not None
        self.program.process.signal(signal.SIGUSR1)
        time.sleep(0.1)
        self.program.process.signal(signal.SIGUSR2)
        with contextlib.suppress(TimeoutError):
            return bool(until(lambda: self.newest()["state"] == "active", "a session", 3))
        return False

    def pull_the_plug(self) -> dict[str, Any]:
        """kill -9; the session as it was in the store just before."""
        before = self.newest()
        self.program.kill()
        return before

    def power_up(self) -> None:
        """Starts it, and waits until it says itself that it is ready."""
        with contextlib.closing(Store(self.store)) as store:
            store.note("watch", None)
        self.program.start()
        until(self._ready, "watch is ready")

    def _ready(self) -> bool:
        assert self.program.alive(), self.program.words()
        with contextlib.closing(Store(self.store)) as store:
            return bool((store.noted("watch") or {}).get("state") == "ready")


@pytest.fixture
def watch(site: Site, tmp_path: Path) -> Iterator[Watch]:
    try:
        models.fetch(models.default_cache())
        portrait = load_portrait()
    except ModelError as error:
        pytest.skip(f"the models are not here and can't be fetched: {error}")
    video = tmp_path / "portrait.avi"
    write_video(video, portrait, demo_schedule(VIDEO_S), seconds=VIDEO_S, fps=FPS)
    watch = Watch(site, video)
    yield watch
    watch.program.kill()


def test_a_session_cut_off_by_power_ends_with_what_was_checkpointed_and_is_delivered(
    site: Site, watch: Watch
) -> None:
    watch.begin()
    until(lambda: watch.newest()["metrics"]["duration_s"] >= 2, "some checkpoints")
    before = watch.pull_the_plug()
    watch.power_up()
    after = watch.newest()
    assert (after["state"], after["ended_by"]) == ("interrupted", "power_loss")
    assert after["session_id"] == before["session_id"]
    assert after["revision"] == before["revision"] + 1
    assert after["metrics"] == before["metrics"]
    until(site.all_delivered, "it is delivered")
    tally = site.tally()
    assert tally.clean, tally


@pytest.mark.slow
def test_pulling_the_plug_again_and_again_loses_no_session(
    site: Site, watch: Watch, chance: random.Random
) -> None:
    seen = {}
    for _ in range(PULLS):
        watch.begin()
        time.sleep(chance.uniform(0, 1.5))
        before = watch.pull_the_plug()
        seen[before["session_id"]] = before["revision"]
    watch.power_up()
    watch.program.kill()
    site.settle()
    tally = site.tally()
    assert tally.clean, tally
    history = {entry["id"]: entry for entry in site.history()}
    for session_id, revision in seen.items():
        assert history[session_id]["state"] == "interrupted"
        assert history[session_id]["revision"] > revision
