"""Looking for codes: what each code, answer and press leads to, and that nothing is measured."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import CameraError
from agent.records import Frame
from agent.system.handover import Answer, Outcome
from agent.watch.codes import (
    FAILED,
    LIGHTS,
    LOOK_S,
    TRANSITIONS,
    Codes,
    Event,
    Look,
    Seen,
    State,
    Step,
)
from agent.watch.loop import Limits, Watch
from agent.watch.request import Request
from tests.agent.watch.device import PIXELS, Device, SteppedCamera, SteppedClock, command

FRAME_S = 0.5
WIFI, SERVER = "WIFI:home", "blinklog:1"
SEEN = {
    WIFI: Seen("wifi"),
    SERVER: Seen("server"),
    "WIFI:broken": Seen("wifi", "its end is missing"),
    "ticket": Seen("other", "neither"),
}


class SlowCamera(SteppedCamera):
    """Two frames a second, so that ten minutes pass quickly."""

    def read(self, timeout_s: float) -> Frame | None:
        frame = super().read(timeout_s)
        self.clock.passed_s += FRAME_S - 1 / 30
        return frame


@dataclass
class Root:
    """In place of the root service: answers each text, `after_s` seconds after it was sent."""

    clock: SteppedClock
    outcomes: dict[str, list[Outcome | None]] = field(default_factory=dict)
    after_s: float = 2.0
    sent: list[str] = field(default_factory=list)
    withdrawn: int = 0
    full: bool = False

    def send(self, text: str) -> str:
        if self.full:
            raise OSError(28, "No space left on device")
        self.sent.append(text)
        self._sent_s = self.clock.passed_s
        return str(len(self.sent))

    def withdraw(self) -> None:
        self.withdrawn += 1

    def answer(self, request_id: str) -> Answer | None:
        assert request_id == str(len(self.sent))
        if self.clock.passed_s - self._sent_s < self.after_s:
            return Answer(request_id, "working")
        text = self.sent[-1]
        left = self.outcomes.get(text) or [{WIFI: "joined", SERVER: "enrolled"}[text]]
        outcome = left[0] if len(left) == 1 else left.pop(0)
        return None if outcome is None else Answer(request_id, outcome, "why")


class Room:
    """A device that looks, and what is held before its camera from each second on."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.clock, self.panel = device.clock, device.panel
        self.camera = SlowCamera(self.clock)
        self.root = Root(self.clock)
        self.shows: dict[float, str | None] = {}
        self.codes = Codes(self._read, lambda text: SEEN[text], self.root, self._has_owner)
        self.owner = False

    def _read(self, frame: Frame) -> str | None:
        assert frame.pixels is PIXELS
        began = [second for second in self.shows if second <= self.clock.passed_s]
        return self.shows[max(began)] if began else None

    def _has_owner(self) -> bool:
        return self.owner

    def look(self) -> list[str]:
        """Look until it ends. Return what the light showed."""
        self.panel.waits = 0
        Look(self.codes, self.camera, self.panel, self.clock).run(threading.Event(), 3.0)  # type: ignore[arg-type]
        return list(self.panel.shown)

    def at(self, second: float, event: Callable[[], None]) -> None:
        self.camera.events[round(second / FRAME_S)] = event


@pytest.fixture
def room(device: Device, monkeypatch: pytest.MonkeyPatch) -> Room:
    monkeypatch.setattr("time.sleep", lambda _: None)
    return Room(device)


# The table


def test_every_state_and_event_is_spelled_as_declared() -> None:
    assert set(TRANSITIONS) == set(get_args(State)) == {*LIGHTS, "over"}
    for state, row in TRANSITIONS.items():
        assert set(row) <= set(get_args(Event))
        for after, step in row.values():
            assert after in TRANSITIONS
            assert step in (None, *get_args(Step))
            assert after != state


def test_a_state_that_waits_for_an_answer_can_fail_and_no_other_can() -> None:
    assert {state for state, row in TRANSITIONS.items() if "failed" in row} == set(FAILED)


def test_what_does_not_wait_for_an_answer_ends_by_itself_and_by_a_press() -> None:
    for state, row in TRANSITIONS.items():
        if state != "over" and state not in FAILED:
            assert row["time up"] == row["press"] == ("over", None)


@given(st.lists(st.sampled_from(get_args(Event))))
def test_no_order_of_events_enrols_without_the_server_s_code(events: list[Event]) -> None:
    state: State = "looking"
    for event in events:
        state, step = TRANSITIONS[state].get(event, (state, None))
        assert step != "enrol" or "server" in events
        assert step != "join" or "wifi" in events
        assert state != "enrolled" or "enrolled" in events


# With a camera and a light


def test_the_wi_fi_s_code_then_the_server_s(room: Room) -> None:
    room.shows = {3: WIFI, 8: None, 12: SERVER}
    assert room.look() == ["looking", "read", "joined", "read", "enrolled"]
    assert room.root.sent == [WIFI, SERVER]


def test_the_server_s_code_first_waits_for_the_network(room: Room) -> None:
    room.root.outcomes[SERVER] = ["offline", "enrolled"]
    room.shows = {3: SERVER, 12: WIFI}
    assert room.look() == ["looking", "read", "enrolled"]
    assert room.root.sent == [SERVER, WIFI, SERVER]


def test_both_codes_at_once_need_no_waiting_in_between(room: Room) -> None:
    room.root.after_s = 20
    room.shows = {3: WIFI, 4: SERVER, 6: None}
    assert room.look() == ["looking", "read", "enrolled"]
    assert room.root.sent == [WIFI, SERVER]


def test_a_device_with_a_cable_needs_the_server_s_code_alone(room: Room) -> None:
    room.shows = {3: SERVER}
    assert room.look() == ["looking", "read", "enrolled"]
    assert room.root.sent == [SERVER]


@pytest.mark.parametrize("after_s", [2.0, 40.0])
@pytest.mark.parametrize("text", [WIFI, SERVER])
def test_a_code_that_stays_in_view_is_used_once(room: Room, text: str, after_s: float) -> None:
    """Also if it takes long to fail: a network that is joined in vain takes a minute."""
    room.root.after_s = after_s
    room.root.outcomes[text] = ["failed"]
    room.shows = {3: text}
    failed = "join failed" if text == WIFI else "enrol failed"
    assert room.look() == ["looking", "read", failed, "looking"]
    assert room.root.sent == [text]


def test_a_code_that_is_shown_again_is_tried_again(room: Room) -> None:
    room.root.outcomes[WIFI] = ["failed", "joined"]
    room.shows = {3: WIFI, 20: None, 40: WIFI, 60: None}
    assert room.look() == ["looking", "read", "join failed", "looking", "read", "joined"]


def test_each_failure_has_its_own_light(room: Room) -> None:
    room.root.outcomes[SERVER] = ["failed"]
    room.shows = {3: SERVER, 30: "WIFI:broken", 60: "ticket"}
    shown = room.look()
    assert shown == ["looking", "read", "enrol failed", "looking", "join failed", "looking"]
    assert room.root.sent == [SERVER]


def test_a_wi_fi_that_can_t_be_joined_keeps_the_server_s_code(room: Room) -> None:
    room.root.outcomes = {SERVER: ["offline", "enrolled"], WIFI: ["failed", "joined"]}
    room.shows = {3: SERVER, 12: WIFI, 20: None, 40: WIFI}
    assert room.look()[-1] == "enrolled"
    assert room.root.sent == [SERVER, WIFI, WIFI, SERVER]


def test_a_bus_ticket_is_said_once_and_does_no_harm(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    room.shows = {3: "ticket", 60: SERVER}
    assert room.look() == ["looking", "read", "enrolled"]
    assert caplog.text.count("a code was read that can't be used: neither") == 1


def test_it_ends_by_itself_after_ten_minutes(room: Room) -> None:
    assert room.look() == ["looking"]
    assert room.clock.passed_s == pytest.approx(LOOK_S, abs=1)
    assert room.root.withdrawn == 1


def test_it_ends_after_ten_minutes_also_where_a_service_never_answers(room: Room) -> None:
    room.root.outcomes[WIFI] = [None]
    room.shows = {3: WIFI, 8: None}
    assert "join failed" in room.look()
    assert room.clock.passed_s == pytest.approx(LOOK_S, abs=1)


def test_an_owner_who_changes_the_wi_fi_need_not_wait_for_ten_minutes(room: Room) -> None:
    room.owner = True
    room.shows = {3: WIFI, 8: None}
    assert room.look() == ["looking", "read", "joined"]
    assert room.clock.passed_s < 90


def test_a_press_ends_it(room: Room) -> None:
    room.at(20, lambda: room.panel.presses.append("start"))
    room.look()
    assert room.clock.passed_s < 25


def test_a_request_that_can_t_be_written_is_a_failure(room: Room) -> None:
    room.root.full = True
    room.shows = {3: SERVER}
    assert room.look() == ["looking", "enrol failed", "looking"]


def test_a_camera_that_hangs_is_a_fault(room: Room) -> None:
    def hang() -> None:
        raise CameraError("no frame")

    room.at(5, hang)
    with pytest.raises(CameraError):
        room.look()
    assert room.root.withdrawn == 1


def test_no_secret_is_in_the_log(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    room.root.outcomes[WIFI] = ["failed", "joined"]
    room.shows = {3: WIFI, 20: None, 40: WIFI, 60: SERVER}
    room.look()
    assert not re.search(f"{WIFI}|{SERVER}", caplog.text)


# In the loop of `watch`


def run(room: Room, has_owner: bool) -> None:
    room.owner = has_owner
    limits: Any = Limits(600, 10, 3, 1000)
    device = room.device
    Watch(
        room.camera,
        lambda request: device.record(request.session_id),
        device.store,
        device.worker,
        room.panel,
        device.clock,  # type: ignore[arg-type]
        limits,
        lambda _: Request(),
        lambda *_: None,
        room.codes,
    ).run(device.stopping)


def test_a_device_that_belongs_to_nobody_looks_and_no_session_begins(room: Room) -> None:
    room.at(6, lambda: states.append(room.device.store.noted("watch")["state"]))
    states: list[str] = []
    room.at(60, room.device.stopping.set)
    run(room, has_owner=False)
    assert room.panel.shown[:1] == ["looking"]
    assert states == ["looking"]
    assert room.device.store.sessions(1) == []
    assert not room.camera.running


def test_a_press_while_it_looks_begins_no_session_and_the_next_one_does(room: Room) -> None:
    room.at(5, lambda: room.panel.presses.extend(["start", "start"]))
    room.at(20, room.device.stopping.set)
    run(room, has_owner=False)
    assert len(room.device.store.sessions(5)) == 1


def test_an_owner_s_device_looks_only_when_asked_and_never_in_a_session(room: Room) -> None:
    room.shows = {0: SERVER}
    room.panel.presses = ["start"]
    room.at(5, lambda: room.panel.presses.append("codes"))
    room.at(9, room.device.stopping.set)
    run(room, has_owner=True)
    assert room.root.sent == []
    assert len(room.device.store.sessions(5)) == 1


def test_a_command_from_elsewhere_starts_nothing_while_an_owner_s_device_looks(room: Room) -> None:
    room.panel.presses = ["codes"]
    room.at(5, lambda: room.device.store.add_command(command("start")) and None)
    room.at(60, room.device.stopping.set)
    run(room, has_owner=True)
    assert room.device.store.sessions(1) == []


def test_start_in_a_terminal_ends_the_looking_of_a_device_without_an_owner(room: Room) -> None:
    room.at(5, lambda: room.device.store.add_command(command("start")) and None)
    room.at(20, room.device.stopping.set)
    run(room, has_owner=False)
    assert len(room.device.store.sessions(5)) == 1


def test_enrolling_in_a_terminal_ends_the_looking(room: Room) -> None:
    room.at(5, lambda: setattr(room, "owner", True))
    room.look()
    assert room.clock.passed_s < 10


def test_ten_seconds_on_the_button_look_for_codes(room: Room) -> None:
    room.shows = {0: SERVER}
    room.panel.presses = ["codes"]
    room.at(8, room.device.stopping.set)
    run(room, has_owner=True)
    assert room.root.sent == [SERVER]
    assert room.device.store.sessions(1) == []
