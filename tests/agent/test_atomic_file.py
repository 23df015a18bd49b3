"""A file is there whole, or it is not there."""

import os
from pathlib import Path

import pytest

from agent.errors import AgentError, CameraError
from agent.files import atomic_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_when_all_of_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    with atomic_file(path, ".png") as new:
        new.write_bytes(b"all of it")
        assert not path.exists()
        assert new.suffix == ".png"
    assert path.read_bytes() == b"all of it"
    assert names(tmp_path) == ["out.png"]


def test_what_a_power_cut_left_behind_is_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / f".out.{os.getpid()}.png").write_bytes(b"half of")
    with atomic_file(tmp_path / "out.png", ".png") as new:
        assert new.read_bytes() == b""
        new.write_bytes(b"all of it")
    assert (tmp_path / "out.png").read_bytes() == b"all of it"
    assert names(tmp_path) == ["out.png"]


def test_the_content_is_on_the_disk_before_its_name_and_the_name_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, fsync = tmp_path / "out.png", os.fsync
    synced: list[tuple[bytes | str, bool]] = []

    def noted(file: int) -> None:
        at = Path(f"/proc/self/fd/{file}").resolve()
        synced.append((at.read_bytes() if at.is_file() else at.name, path.exists()))
        fsync(file)

    monkeypatch.setattr(os, "fsync", noted)
    with atomic_file(path, ".png") as new:
        new.write_bytes(b"all of it")
    assert synced == [(b"all of it", False), (tmp_path.name, True)]


@pytest.mark.parametrize("fault", [CameraError("broken off"), KeyboardInterrupt(), ValueError()])
def test_a_failure_leaves_nothing_behind_and_the_old_file_as_it_was(
    tmp_path: Path, fault: BaseException
) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"old")

    def write() -> None:
        with atomic_file(path, ".png") as new:
            new.write_bytes(b"half of")
            raise fault

    with pytest.raises(type(fault)):
        write()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["out.png"]


def test_a_full_disk_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    with (
        pytest.raises(AgentError, match=r"out\.png: can't be written: No space left on device"),
        atomic_file(path, ".png"),
    ):
        raise OSError(28, "No space left on device")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing/out.png", "can't be written: No such file"),
        ("out.jpg", r"expected a name that ends in \.png"),
        ("folder.png", "expected a file to write, found a folder"),
        ("video.png", "expected a file to write, found the file that is being read"),
        ("same/../video.png", "found the file that is being read"),
    ],
)
def test_what_cannot_be_written_is_refused_at_once(tmp_path: Path, name: str, says: str) -> None:
    for folder in ("folder.png", "same"):
        (tmp_path / folder).mkdir()
    source = tmp_path / "video.png"
    source.write_bytes(b"frames")
    begun = False
    with (
        pytest.raises(AgentError, match=says),
        atomic_file(tmp_path / name, ".png", source=source),
    ):
        begun = True
    assert not begun
    assert source.read_bytes() == b"frames"
    assert names(tmp_path) == ["folder.png", "same", "video.png"]
