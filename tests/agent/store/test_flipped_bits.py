"""One flipped bit, which SQLite does not notice, neither loses a session nor is read for ever."""

from pathlib import Path

import pytest

from agent.store.file import StoreFile
from agent.store.store import Store
from tests.agent.documents import document
from tests.agent.store.damage import filled, flip_bit, set_aside


def opened_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store whose file was whole when it was opened: the bit flips later."""
    with monkeypatch.context() as patch:
        patch.setattr(StoreFile, "check", lambda self: None)
        return Store(path)


@pytest.mark.parametrize("where", ["row", "index"])
def test_a_flipped_bit_in_an_id_is_found_on_opening_and_costs_no_session(
    path: Path, where: str
) -> None:
    made = filled(path, 9)
    flip_bit(path, made[4]["session_id"], where)
    store = Store(path)
    assert len(set_aside(path)) == 1
    assert store.pending(99) == made[1:], "each under the id of its own document"
    assert store.counts() == {"sessions": 9, "pending": 8, "parked": 0, "delivered": 1}
    store.close()


@pytest.mark.parametrize("where", ["row", "index"])
def test_a_flipped_bit_in_an_id_does_not_stop_delivery(
    path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = filled(path, 9)
    flip_bit(path, made[4]["session_id"], where)
    store = opened_before(path, monkeypatch)
    for each in made[1:]:
        assert each in store.pending(99)
        assert store.acknowledge(each["session_id"], 7)
    assert store.counts()["delivered"] == 9
    assert len(set_aside(path)) == 1
    store.close()


def test_the_second_revision_finds_its_session_though_the_index_has_lost_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path, 9)
    store = Store(path)
    store.put(begun := document(1, state="active"))
    store.close()
    flip_bit(path, begun["session_id"], "index")
    store = opened_before(path, monkeypatch)
    assert store.put(document(2, begun["session_id"], state="active"))
    assert store.counts()["sessions"] == 10, "it is no second session"
    store.close()


@pytest.mark.parametrize("call", ["put", "park", "acknowledge"])
def test_a_session_that_only_its_index_has_lost_is_found_again(
    path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = filled(path, 9)
    lost = made[4]["session_id"]
    flip_bit(path, lost, "index")
    store = opened_before(path, monkeypatch)
    if call == "put":
        assert store.put(document(8, lost))
        assert store.counts()["sessions"] == 9, "it is no second session"
    elif call == "park":
        assert store.park(lost, 7, "no")
    else:
        assert store.acknowledge(lost, 7)
    assert len(set_aside(path)) == 1
    store.close()
