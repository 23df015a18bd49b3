"""The activity of a session: from a command, the second button or the configuration."""

from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.controls.presses import Action
from agent.records import ACTIVITIES
from agent.watch.request import Activities, Request
from tests.agent.watch.device import Device, command, stop_when_done

BOTH = Activities(always="screen", button="reading")
maybe = st.sampled_from([None, *ACTIVITIES])


def kept_revisions(device: Device) -> list[dict[str, Any]]:
    """Every document that the store is given from now on."""
    kept: list[dict[str, Any]] = []
    put = device.store.put

    def keep(document: dict[str, Any]) -> bool:
        kept.append(document)
        return put(document)

    device.store.put = keep  # type: ignore[method-assign]
    return kept


def after(device: Device, **limits: float) -> dict[str, Any]:
    """The session's last document."""
    stop_when_done(device)
    device.run(session_s=2.0, **limits)
    return device.the_session()


@pytest.mark.parametrize(
    ("press", "activity"), [("start", "screen"), ("start activity", "reading")]
)
def test_every_revision_of_a_session_has_its_activity(
    device: Device, press: Action, activity: str
) -> None:
    device.activities = BOTH
    device.panel.presses = [press]
    kept = kept_revisions(device)
    after(device, checkpoint_s=0.5)
    assert len(kept) > 3, "the start, checkpoints and the end"
    assert {each["activity"] for each in kept} == {activity}


def test_without_an_activity_no_revision_has_the_key(device: Device) -> None:
    device.panel.presses = ["start"]
    kept = kept_revisions(device)
    after(device, checkpoint_s=0.5)
    assert len(kept) > 3
    assert not [each for each in kept if "activity" in each]


def test_a_command_s_activity_comes_first(device: Device) -> None:
    device.activities = BOTH
    device.store.add_command(command("start", activity="eating"))
    assert after(device)["activity"] == "eating"


@pytest.mark.parametrize("keys", [{}, {"activity": None}])
def test_a_command_without_one_leaves_the_configured_activity(
    device: Device, keys: dict[str, None]
) -> None:
    device.activities = BOTH
    device.store.add_command(command("start", **keys))
    assert after(device)["activity"] == "screen"


def test_a_command_with_an_unknown_activity_starts_a_session_without_one(device: Device) -> None:
    """The person does something else than what is configured."""
    device.activities = BOTH
    device.store.add_command(command("start", activity="knitting"))
    assert "activity" not in after(device)


@pytest.mark.parametrize(
    ("way", "activity"),
    [
        (lambda device: device.panel.presses.append("start activity"), "reading"),
        (lambda device: device.store.add_command(command("start", activity="eating")), "eating"),
    ],
    ids=["the second button", "a command"],
)
def test_a_start_that_ends_the_aiming_keeps_its_activity(
    device: Device, way: Callable[[Device], object], activity: str
) -> None:
    device.activities = BOTH
    device.store.add_command(command("aim"))
    device.at(1, lambda: way(device) and None)
    assert after(device)["activity"] == activity


def test_a_power_cut_does_not_cost_the_activity(device: Device) -> None:
    device.activities = BOTH
    cut_off = device.record(None, asked=Request("start activity"))
    device.store.put(cut_off.document())
    device.stopping.set()
    device.run()
    session = device.the_session()
    assert (session["ended_by"], session["activity"]) == ("power_loss", "reading")


def test_a_press_of_either_button_during_a_session_changes_nothing(device: Device) -> None:
    device.activities = BOTH
    device.panel.presses = ["start"]
    device.at(1, lambda: device.panel.presses.append("start activity"))
    assert after(device)["activity"] == "screen"


@given(maybe, maybe, st.sampled_from(get_args(Action)), maybe, st.booleans())
def test_the_command_wins_over_the_button_and_the_button_over_the_device(
    always: Any, button: Any, action: Action, told: Any, is_command: bool
) -> None:
    request = Request(action, {"activity": told} if is_command else {})
    expected = told if is_command else button if action == "start activity" else always
    assert Activities(always, button).of(request) == expected
