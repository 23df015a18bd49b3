"""Wheel houses for the tests: the real one, made by deploy/wheel-house, and ones of other releases.

The real one is kept outside the tree by a hash of all that goes into it.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INGREDIENTS = ("agent", "server", "deploy", "requirements", "models", "pyproject.toml", "README.md")
GATHERING_S = 600
KEPT = 4


def system_python() -> str:
    """The version of Debian's own Python, such as 3.11; the installers use no other."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    run = subprocess.run(
        ["/usr/bin/python3", "-c", program], capture_output=True, text=True, check=False
    )
    return run.stdout.strip() or "none"


def wheel_house(role: str) -> Path:
    """That of this tree for a `device` or a `server` like this machine. Skips where pip can't."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "blinklog"
    folder = home / "wheel-houses" / f"{role}-{_digest()[:16]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:  # of two test runs, one makes it
        fcntl.flock(lock, fcntl.LOCK_EX)
        _make(role, folder)
    return folder


def _make(role: str, folder: Path) -> None:
    if not folder.exists():
        options = ["--for", role, "--machine", platform.machine(), "--python", system_python()]
        made = subprocess.run(
            [ROOT / "deploy" / "wheel-house", *options, folder],
            capture_output=True,
            text=True,
            timeout=GATHERING_S,
            check=False,
        )
        if made.returncode != 0:
            if "expected a Python of" in made.stderr:
                pytest.skip(f"Debian's Python 3.11 or 3.13 is not installed: {made.stderr}")
            pytest.skip(f"a wheel house can't be fetched: {made.stderr[-500:]}")
        _forget_old(folder.parent, role)


def _digest() -> str:
    digest = hashlib.sha256(f"{system_python()} {platform.machine()}".encode())
    for path in sorted(_files()):
        digest.update(str(path.relative_to(ROOT)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _files() -> Iterator[Path]:
    for name in INGREDIENTS:
        path = ROOT / name
        found = path.rglob("*") if path.is_dir() else [path]
        yield from (each for each in found if each.is_file() and each.suffix != ".pyc")


def _forget_old(folder: Path, role: str) -> None:
    houses = sorted(folder.glob(f"{role}-*"), key=lambda each: each.stat().st_mtime)
    for old in houses[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def another(house: Path, target: Path, version: str, changes: Mapping[str, str]) -> Path:
    """A wheel house of another release: `changes` are appended to the files that they name, or
    are new files."""
    shutil.copytree(house, target)
    (wheel,) = (target / "wheels").glob("blinklog-*.whl")
    before = wheel.name.split("-")[1]
    _rewrite(wheel, target / "wheels" / f"blinklog-{version}-py3-none-any.whl", version, changes)
    wheel.unlink()
    release = target / "release"
    release.write_text(release.read_text().replace(f"version={before}", f"version={version}"))
    seal(target)
    return target


def _rewrite(wheel: Path, into: Path, version: str, changes: Mapping[str, str]) -> None:
    before = wheel.name.split("-")[1]
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(into, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith(("/METADATA", "agent/__init__.py", "/RECORD")):
                content = content.replace(before.encode(), version.encode())
            content += changes.get(name, "").encode()
            new.writestr(name.replace(f"blinklog-{before}.", f"blinklog-{version}."), content)
        for name in changes.keys() - set(old.namelist()):
            new.writestr(name, changes[name])


def seal(house: Path) -> None:
    """Writes SHA256SUMS anew, as deploy/wheel-house does."""
    sums = house / "SHA256SUMS"
    files = sorted(each for each in house.rglob("*") if each.is_file() and each != sums)
    lines = [
        f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.relative_to(house)}"
        for each in files
    ]
    sums.write_text("\n".join(lines) + "\n")
