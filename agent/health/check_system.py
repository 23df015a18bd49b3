"""Checks of the store, the disk, the clock and the systemd services."""

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from agent.clock import Clock
from agent.errors import StoreError
from agent.health.doctor import Finding, bad, off, ok
from agent.store.store import Store
from agent.system.owner import acting_as_owner
from agent.system.units import Unit

LOW_BYTES = 50 << 20  # hundreds of long sessions, and what logs and upgrades need beside them
RESTARTS = 10  # since the boot: more is no accident
SUDO = "sudo blink-agent doctor"
TIME = "connect it to a network, or give it a battery clock; then: timedatectl"


def store(path: Path, opened: Callable[[], AbstractContextManager[Store]]) -> Finding:
    """Whether it is whole, of this version's schema, and takes a write."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return _absent(path)
    except PermissionError:
        return bad(f"{path} is not this user's to read", SUDO)
    try:
        with opened() as here:
            here.note("doctor", {"at": datetime.now(UTC).isoformat(timespec="seconds")})
            counts, past = here.counts(), here.noted("store")
    except StoreError as error:
        return bad(str(error), _mend_store(str(error)))
    aside = f"; a damaged one was set aside: {past['set_aside']}" if past else ""
    return ok(
        f"{path}: whole, takes writes; sessions: {counts['sessions']}, pending:"
        f" {counts['pending']}, refused: {counts['parked']}{aside}"
    )


def _absent(path: Path) -> Finding:
    with acting_as_owner(path):
        folder = next(each for each in path.absolute().parents if each.exists())
        may = os.access(folder, os.W_OK | os.X_OK, effective_ids=True)
    if may:
        return off(f"{path}: none yet; the first service to start makes it")
    return bad(f"{path}: none, and {folder} can't be written", f"is {folder} the service's own?")


def _mend_store(said: str) -> str:
    if "disk is full" in said:
        return "make room: see the disk"
    if "ermission" in said:
        return SUDO
    if "ead-only" in said:
        return "the card may be worn out: sudo dmesg | grep -i mmc; then a new card"
    if "newer" in said:
        return "install the version that wrote it, or a newer one"
    return "see journalctl -u blinklog-watch; a worn-out card? sudo dmesg | grep -i mmc"


def disk(path: Path) -> Finding:
    """Whether there is room to go on, and it can be written at all."""
    folder = next(each for each in path.absolute().parents if each.exists())
    state = os.statvfs(folder)
    free = shutil.disk_usage(folder).free
    room = f"{folder}: {free / 1e6:.0f} MB free"
    if state.f_flag & os.ST_RDONLY:
        return bad(f"{folder} is read-only", "sudo dmesg | grep -i mmc: a worn-out card?")
    if free < LOW_BYTES:
        return bad(room, "make room: journalctl --vacuum-size=50M, apt clean; or a larger card")
    if state.f_files and not state.f_favail:
        return bad(f"{room}, and no inode", "something makes files without end: find them")
    return ok(room)


def clock(clock: Clock, installed: Path = Path(__file__)) -> Finding:
    """Whether the wall clock can be believed: a Pi without a battery boots into the past."""
    now = clock.now()
    local = f"{now.isoformat(timespec='seconds')}, {clock.timezone()}"
    since = datetime.fromtimestamp(installed.stat().st_mtime, UTC)
    if now < since:
        return bad(f"{local}: before this software was installed ({since.date()})", TIME)
    if not clock.synchronized():
        return bad(f"{local}: nobody has confirmed it: dates are marked as uncertain", TIME)
    return ok(f"{local}, synchronised")


def services(units: Sequence[Unit] | None) -> Finding:
    """Whether both run, start at boot, and stay up. None: there is no systemd here."""
    if units is None:
        return off("systemd does not run here")
    found = "; ".join(f"{unit.name.removesuffix('.service')} {unit.text()}" for unit in units)
    for unit in units:
        if mend := _mend_unit(unit):
            return bad(found, mend)
    return ok(found)


def _mend_unit(unit: Unit) -> str | None:
    if not unit.loaded:
        return f"install it: there is no {unit.name}"
    if unit.enabled != "enabled":
        return f"sudo systemctl enable --now {unit.name}"
    if unit.active not in ("active", "reloading"):
        return f"journalctl -u {unit.name} -n 50; then: sudo systemctl restart {unit.name}"
    if unit.restarts > RESTARTS:
        return f"why does it start again and again? journalctl -u {unit.name} -n 50"
    return None
