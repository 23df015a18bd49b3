"""Aiming in watch: a view in a file, the light, and how it ends."""

import json

import pytest

from agent.errors import CameraError
from agent.system.view_file import view_path
from agent.watch import aiming
from tests.agent.watch.device import Device, command, stop_when_done


def test_a_command_aims_and_the_view_says_what_to_do(device: Device) -> None:
    device.store.add_command(command("aim"))
    seen: list[object] = []
    device.at(1, lambda: seen.append(device.views.read()))
    device.power_off_at(2)
    device.run()
    (view,) = seen
    assert isinstance(view, dict)
    assert (view["advice"], view["outline"], view["lids"]) == ("no_face", [], [])
    assert view["sentence"] == "No face is seen: point the camera at the face."
    assert device.panel.shown[:2] == ["ready", "starting"]
    assert "unseen" in device.panel.shown


def test_when_it_is_over_neither_a_view_nor_a_session_is_left(device: Device) -> None:
    device.store.add_command(command("aim"))
    device.power_off_at(2)
    device.run()
    assert device.views.read() is None
    assert not device.store.sessions(10)
    assert not device.camera.running


def test_views_come_five_times_a_second(device: Device) -> None:
    device.store.add_command(command("aim"))
    numbers: list[int] = []
    for frame in range(1, 60):
        device.camera.events[frame] = lambda: numbers.append((device.views.read() or {})["number"])
    device.power_off_at(2)
    device.run()
    assert 8 <= numbers[-1] - numbers[0] <= 11


def stop_when_over(device: Device) -> list[float]:
    """Stop the process when aiming is over. Return a list for the time when that was."""
    over: list[float] = []
    remove = device.views.remove

    def remove_and_stop() -> None:
        over.append(device.clock.passed_s)
        device.stopping.set()
        remove()

    device.views.remove = remove_and_stop  # type: ignore[method-assign]
    return over


def test_it_ends_by_itself(device: Device) -> None:
    device.store.add_command(command("aim"))
    over = stop_when_over(device)
    device.run()
    assert over == [pytest.approx(aiming.AIM_S, abs=0.1)]


def test_another_command_makes_it_go_on(device: Device) -> None:
    device.store.add_command(command("aim"))
    again = {**command("aim"), "id": "00000000-0000-4000-8000-000000000001"}
    device.at(20, lambda: device.store.add_command({**again, "expires_at": later}) and None)
    later = "2026-11-22T10:01:00Z"
    still: list[object] = []
    device.at(aiming.AIM_S + 5, lambda: still.append(device.views.read()))
    device.power_off_at(aiming.AIM_S + 6)
    device.run()
    assert still
    assert still[0] is not None


@pytest.mark.parametrize("way", ["a press", "a command"])
def test_a_start_ends_it_and_begins_a_session(device: Device, way: str) -> None:
    device.store.add_command(command("aim"))
    if way == "a press":
        device.at(2, lambda: device.panel.presses.append("start"))
    else:
        device.at(2, lambda: device.store.add_command(command("start")) and None)
    device.at(5, lambda: device.panel.presses.append("stop"))
    stop_when_done(device)
    device.run()
    assert device.the_session()["state"] == "ended"
    assert device.views.read() is None


def test_a_long_press_ends_it_without_a_session(device: Device) -> None:
    device.store.add_command(command("aim"))
    device.at(2, lambda: device.panel.presses.append("stop"))
    over = stop_when_over(device)
    device.run()
    assert over == [pytest.approx(2, abs=0.1)]
    assert not device.store.sessions(10)


def test_in_a_session_it_changes_nothing(device: Device) -> None:
    device.panel.presses = ["start"]
    device.at(2, lambda: device.store.add_command(command("aim")) and None)
    device.at(9, lambda: device.panel.presses.append("stop"))
    stop_when_done(device)
    device.run()
    assert device.the_session()["metrics"]["duration_s"] == pytest.approx(9, abs=0.2)
    assert device.views.read() is None


def test_a_camera_that_fails_leaves_no_view(device: Device) -> None:
    def fail() -> None:
        raise CameraError("unplugged")

    device.store.add_command(command("aim"))
    device.at(1, fail)
    with pytest.raises(CameraError):
        device.run()
    assert device.views.read() is None


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"x"'])
def test_a_damaged_view_is_none(device: Device, text: str) -> None:
    device.views.path.write_text(text)
    assert device.views.read() is None


def test_a_view_that_cannot_be_written_ends_nothing(device: Device) -> None:
    device.views.path.mkdir()
    device.store.add_command(command("aim"))
    device.power_off_at(1)
    device.run()


def test_the_file_is_in_memory_where_systemd_gives_a_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, store = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("store") / "a.sqlite3"
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    assert view_path(store) == folder / "aim.json"
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder / "none"))
    assert view_path(store) == store.parent / "aim.json"


def test_a_view_is_small(device: Device) -> None:
    device.store.add_command(command("aim"))
    device.power_off_at(1)
    sizes: list[int] = []
    device.at(0.9, lambda: sizes.append(len(json.dumps(device.views.read()))))
    device.run()
    assert sizes[0] < 4000
