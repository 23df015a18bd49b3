"""The installer: releases, the link to the current one, and the store that goes back with it.

After a cut, and after what the next boot does, the current release is whole, opens the store, and
is the one before or after the upgrade that was cut off. Sessions are lost only by going back to the
schema of the release before, and only those of an upgrade that was not proven.

    python -m bench.powercuts.with_installer MOUNT VERSION

stands for the services of that release in a recording.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from agent.errors import StoreError
from agent.store import store as store_module
from agent.store.schema import MIGRATIONS
from agent.store.store import Store
from bench.powercuts.log import MARKS
from bench.powercuts.part import Tally
from bench.powercuts.recording import Marker
from tests.agent.documents import document

ROOT = Path(__file__).resolve().parents[2]
SCRIPT, DEPLOY = Path(__file__).with_name("installer.sh"), ROOT / "deploy"
VERSIONS = ("1.0", "1.1", "1.2", "1.3")
NEXT = (
    "",
    "CREATE TABLE shelves (name TEXT) STRICT;",
    "",
    "CREATE TABLE rooms (name TEXT) STRICT;",
)
STEP_S = 60.0

STAND_IN = """#!/bin/bash
# Stands in for Python in tests of an installer: `venv` and `pip install` only write a few files.
if [ "$1 $2" = "-m venv" ]; then
  mkdir -p "${@: -1}/bin" "${@: -1}/lib" && cp "$0" "${@: -1}/bin/python"
elif [[ "$*" == *" install "* ]]; then
  release=${0%/bin/python}
  printf '%s\\n' "#!/bin/sh" "echo ${release##*/}" > "$release/bin/blink-agent"
  seq 1 4000 > "$release/lib/module"
else
  exec python3 -IS "$@"
fi
"""


def _migrations(version: str) -> tuple[str, ...]:
    """Return the schema of a release: the second and the fourth have one more than before."""
    number = VERSIONS.index(version)
    return MIGRATIONS + tuple(each for each in NEXT[: number + 1] if each)


@contextlib.contextmanager
def _store(folder: Path, version: str) -> Iterator[Store]:
    """Open the store as a release does."""
    before, store_module.MIGRATIONS = store_module.MIGRATIONS, _migrations(version)
    try:
        with contextlib.closing(Store(folder / "state" / "agent.sqlite3")) as store:
            yield store
    finally:
        store_module.MIGRATIONS = before


class Installer:
    """Upgrades that are proven or fail, each after the other."""

    def __init__(self, chance: Random) -> None:
        self._plans = [
            f"{version}:{chance.choice(('prove', 'prove', 'fail'))}" for version in VERSIONS[1:]
        ]

    def prepare(self, folder: Path) -> None:
        (folder / "python").write_text(STAND_IN)
        (folder / "python").chmod(0o755)
        (folder / "state").mkdir()
        house = folder / "house"
        (house / "wheels").mkdir(parents=True)
        (house / "wheels" / "pip-1-none.whl").touch()
        (house / "wheels" / "blinklog-1-none.whl").touch()
        (house / "release").write_text("role=device\n")
        release = folder / "opt" / "releases" / VERSIONS[0]
        subprocess.run([folder / "python", "-m", "venv", release], check=True)
        subprocess.run([release / "bin" / "python", "pip", "install", "it"], check=True)
        (release / "complete").write_text(f"digest-{VERSIONS[0]}\n")
        (folder / "opt" / "current").symlink_to(f"releases/{VERSIONS[0]}")
        with _store(folder, VERSIONS[0]) as store:
            store.put(document(2))

    def drive(self, folder: Path, mark: Marker) -> None:
        mark("begin")
        _script(folder, "upgrades", *self._plans)

    def check(self, folder: Path, marks: Sequence[str], tally: Tally) -> None:
        if (folder / "opt" / "unproven").exists():  # as blinklog-undo.service does
            try:
                _script(folder, "boot")
            except subprocess.CalledProcessError as error:
                tally.fail("could_not_open", f"boot: {error.stderr[-200:]}")
                return
        history = _History(marks)
        tally.sessions += 1 + len(history.promised)
        current = (folder / "opt" / "current").resolve()
        if current.name not in history.current:
            tally.fail("lost", f"current is {current.name}, expected {history.current}")
        if current.name not in VERSIONS:
            return
        for release in {current, *_called_complete(folder)}:
            if not _is_whole(release):
                tally.fail("wrong", f"{release.name} is not whole")
        self._check_store(folder, current.name, history, tally)

    def _check_store(self, folder: Path, version: str, history: "_History", tally: Tally) -> None:
        try:
            with _store(folder, version) as store:
                there = {each.session_id for each in store.newest()}
        except StoreError as error:
            tally.fail("could_not_open", f"{version}: {error}")
            return
        for session_id in history.promised - there:
            tally.fail("lost", f"{session_id}, {version} is current, {history.marks[-4:]}")


class _History:
    """What the marks say: which releases may be current, and which sessions must be there."""

    def __init__(self, marks: Sequence[str]) -> None:
        self.marks = marks
        self.current = {VERSIONS[0]}
        self.promised: set[str] = set()
        unproven: set[str] = set()
        upgrading = False
        for mark in marks:
            word, _, rest = mark.partition(" ")
            version, _, plan = rest.partition(":")
            if word == "upgrade":
                before, upgrading = self.current, True
                self.current = before | {version}
            elif word == "upgraded":
                upgrading = False
                self.current = {version} if plan == "prove" else before
                self.promised |= unproven if plan == "prove" else set()
            elif word == "session":
                (unproven if upgrading else self.promised).add(rest)
            if word in ("upgrade", "upgraded"):
                unproven = set()


def _called_complete(folder: Path) -> list[Path]:
    return [path.parent for path in (folder / "opt" / "releases").glob("*/complete")]


def _is_whole(release: Path) -> bool:
    try:
        program = (release / "bin" / "blink-agent").read_text()
        module = (release / "lib" / "module").read_text()
    except OSError:
        return False
    lines = "".join(f"{number}\n" for number in range(1, 4001))
    return program == f"#!/bin/sh\necho {release.name}\n" and module == lines


def _script(folder: Path, *words: str) -> None:
    subprocess.run(
        ["bash", SCRIPT, DEPLOY, folder, sys.executable, *words],
        check=True,
        cwd=ROOT,
        timeout=STEP_S,
        capture_output=True,
        text=True,
    )


def _serve(folder: Path, version: str) -> None:
    """Measure a session, and mark it once it is saved."""
    session = document(2)
    with _store(folder, version) as store:
        store.put(session)
        (folder / MARKS).write_text(f"session {session['session_id']}\n")
        os._exit(0)  # killed: its WAL stays


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.argv[2])
