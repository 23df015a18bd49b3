"""What root makes beside the store belongs to the services. (Root alone can show it.)"""

import os
from pathlib import Path

import pytest

from agent.system.owner import acting_as_owner
from tests.agent.folders import let_everybody_in

SOMEBODY = 4242


@pytest.mark.skipif(os.geteuid() != 0, reason="only root acts for another")
def test_root_makes_files_as_the_owner_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    os.chown(folder, SOMEBODY, SOMEBODY)
    let_everybody_in(tmp_path)
    with acting_as_owner(folder / "agent.sqlite3"):
        (folder / "made").touch()
    assert ((folder / "made").stat().st_uid, (folder / "made").stat().st_gid) == (
        SOMEBODY,
        SOMEBODY,
    )
    assert (os.geteuid(), os.getegid()) == (0, 0)


def test_a_folder_that_is_not_there_yet_is_no_hindrance(tmp_path: Path) -> None:
    with acting_as_owner(tmp_path / "a" / "b" / "agent.sqlite3"):
        assert os.geteuid() == os.getuid()
