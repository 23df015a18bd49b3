"""A replacement of a damaged store that ends at any of its steps loses nothing of the WAL."""

from pathlib import Path

import pytest

from agent.store import swap as swap_module
from agent.store.store import Store
from tests.agent.documents import document
from tests.agent.store.damage import damage_page, filled, set_aside

ROWS_IN_WAL = 5


class Cut(BaseException):
    """The power is cut: nothing after it runs."""


@pytest.mark.parametrize("step", range(1, 4))
def test_sessions_in_the_wal_survive_a_replacement_that_is_cut_off(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    filled(path)
    watch, sync = Store(path), Store(path)
    newest = [document(3) for _ in range(ROWS_IN_WAL)]
    for each in newest:
        sync.put(each)
    damage_page(path, 0.5)
    steps = iter(range(1, 4))

    def cut(_: Path) -> None:
        if next(steps) == step:
            raise Cut

    with monkeypatch.context() as patched:
        patched.setattr(swap_module, "sync_path", cut)
        with pytest.raises(Cut):
            watch._file._replace("a damaged page")
    sync.close()
    watch.close()
    store = Store(path)
    assert all(store.document(each["session_id"]) == each for each in newest)
    assert len(set_aside(path)) == 1, "one damage is one file set aside"
    store.close()


def test_another_name_of_the_store_is_left_alone(path: Path, tmp_path: Path) -> None:
    filled(path)
    backup = tmp_path / "backup.sqlite3"
    backup.hardlink_to(path)
    store = Store(path)
    assert store.counts()["sessions"] == 40
    store.close()
    assert backup.samefile(path)
