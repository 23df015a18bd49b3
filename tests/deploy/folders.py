"""Folders as on a device and on a server, and an installer's functions that work in them."""

import os
import pwd
import sqlite3
import subprocess
from pathlib import Path

from tests.deploy.house import ROOT

DEPLOY = ROOT / "deploy"
USER = pwd.getpwnam("daemon")
SOURCE = """
eval "$(sed -e '/^main "\\$@"$/d' -e "s|^here=.*|here=$DEPLOY|" "$DEPLOY/$SCRIPT")"
prefix=$TOP/opt state=$TOP/state config=$TOP/etc user=daemon broker_user=daemon scratch=$TOP/scratch
unproven=$prefix/unproven store=$state/agent.sqlite3 identities=$TOP/broker/identities
system_python=/usr/bin/python3 release=none
systemd_runs() { false; }
"""


class Folders:
    """`state` is the service's user's; `opt`, `etc` and `treasure` are root's."""

    def __init__(self, top: Path) -> None:
        self.top = top
        top.chmod(0o755)
        for name in ("opt", "etc", "scratch", "treasure", "state", "broker"):
            (top / name).mkdir()
        self.state, self.treasure, self.broker = top / "state", top / "treasure", top / "broker"
        for owned in (self.state, self.broker):
            os.chown(owned, USER.pw_uid, USER.pw_gid)
        self.store = self.state / "agent.sqlite3"

    def run(
        self, script: str, commands: str, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Commands in a shell that has the functions of the script. Both outputs in `stdout`."""
        environ = {"PATH": os.environ["PATH"], "DEPLOY": str(DEPLOY), "SCRIPT": script}
        environ |= {"TOP": str(self.top), "TREASURE": str(self.treasure)}
        return subprocess.run(
            ["bash", "-c", SOURCE + commands],
            env=environ,
            cwd=cwd or "/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=40,
            check=False,
        )

    def plant(self, path: Path, target: Path) -> None:
        """Make a link as the service's user."""
        path.symlink_to(target)
        os.chown(path, USER.pw_uid, USER.pw_gid, follow_symlinks=False)

    def owned_file(self, path: Path, text: str = "") -> Path:
        path.write_text(text)
        os.chown(path, USER.pw_uid, USER.pw_gid)
        return path

    def database(self, path: Path, version: int) -> None:
        with sqlite3.connect(path) as made:
            made.execute(f"PRAGMA user_version = {version}")
            made.execute("CREATE TABLE sessions (number INTEGER)")
        made.close()
        os.chown(path, USER.pw_uid, USER.pw_gid)

    def treasure_is_untouched(self) -> bool:
        """Whether root's folder is still root's, empty, and open to all."""
        found = self.treasure.stat()
        return (found.st_uid, found.st_mode & 0o777, list(self.treasure.iterdir())) == (
            0,
            0o755,
            [],
        )


def version_of(store: Path) -> int:
    with sqlite3.connect(store) as opened:
        (found,) = opened.execute("PRAGMA user_version").fetchone()
    opened.close()
    return int(found)
