"""A store that is damaged while it is in use: the rescue is cut off, and whatever comes after it.

What a rescue can save is what one saves that is not cut off.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from agent.files import sync_path
from agent.store.store import Store
from bench.powercuts.recording import Marker, scratch_folder
from bench.powercuts.with_device_store import NAME, Session, StoreCalls
from tests.agent.documents import document
from tests.agent.store import damage

SESSIONS, NEWER = 40, 5
DAMAGES: tuple[Callable[[Path], None], ...] = (
    lambda path: damage.damage_page(path, 0.4),
    lambda path: damage.damage_page(path, 0.8),
    damage.cut_within_a_page,
    damage.without_its_header,
    damage.emptied,
)


class DamagedStore(StoreCalls):
    """A few calls after a rescue. The newest sessions are in the WAL, which `sync` has open too."""

    rescued = True
    steps = 4

    def prepare(self, folder: Path) -> None:
        with contextlib.closing(Store(folder / NAME)) as store:
            for _ in range(SESSIONS):
                store.put(document(2, self.uuid()))

    def drive(self, folder: Path, mark: Marker) -> None:
        with contextlib.closing(Store(folder / NAME)) as sync:
            for _ in range(NEWER):
                sync.put(document(2, self.uuid()))
            self.chance.choice(DAMAGES)(folder / NAME)
            sync_path(folder / NAME)
            self._rescue_a_copy(folder)
            super().drive(folder, mark)

    def _rescue_a_copy(self, folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=scratch_folder()) as scratch:
            for path in folder.glob(f"{NAME}*"):
                if not path.name.endswith("-shm"):
                    shutil.copy(path, scratch)
            with contextlib.closing(Store(Path(scratch) / NAME)) as store:
                for each in reversed(list(store.newest())):
                    parked = each.parked_reason is not None
                    session = Session(each.document, each.acked_revision, parked)
                    self.before.sessions[each.session_id] = session
