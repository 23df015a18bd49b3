"""Checks of the store, the disk, the clock and the systemd services."""

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from agent.clock import Clock, Zone
from agent.errors import StoreError
from agent.health.doctor import Finding, bad, off, ok
from agent.store.store import Store
from agent.system.owner import acting_as_owner
from agent.system.systemd import Unit

LOW_BYTES = 50 << 20  # hundreds of long sessions, and what logs and upgrades need
RESTARTS = 10  # since boot; more are no coincidence
SUDO = "sudo blink-agent doctor"
TIME = "connect it to a network or add a battery-backed clock; then run: timedatectl"


def store(path: Path, opened: Callable[[], AbstractContextManager[Store]]) -> Finding:
    """Check that the store is undamaged, has this version's schema, and can be written."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return _absent(path)
    except PermissionError:
        return bad(f"{path} can't be read by this user", SUDO)
    try:
        with opened() as opened_store:
            opened_store.note("doctor", {"at": datetime.now(UTC).isoformat(timespec="seconds")})
            counts, past = opened_store.counts(), opened_store.noted("store")
    except StoreError as error:
        return bad(str(error), _store_hint(str(error)))
    aside = f"; a damaged one was set aside: {past['set_aside']}" if past else ""
    return ok(
        f"{path}: undamaged, writable; sessions: {counts['sessions']}, pending:"
        f" {counts['pending']}, refused: {counts['parked']}{aside}"
    )


def _absent(path: Path) -> Finding:
    with acting_as_owner(path):
        folder = next(each for each in path.absolute().parents if each.exists())
        writable = os.access(folder, os.W_OK | os.X_OK, effective_ids=True)
    if writable:
        return off(f"{path}: none yet; the first service to start creates it")
    return bad(f"{path}: none, and {folder} can't be written", f"who owns {folder}?")


def _store_hint(said: str) -> str:
    if "disk is full" in said:
        return "make space: see the disk"
    if "ermission" in said:
        return SUDO
    if "ead-only" in said:
        return "the card may be worn out: sudo dmesg | grep -i mmc; then replace the card"
    if "newer" in said:
        return "install the version that wrote it, or a newer one"
    return "see journalctl -u blinklog-watch; a worn-out card? sudo dmesg | grep -i mmc"


def disk(path: Path) -> Finding:
    """Check that the disk can be written and has free space."""
    folder = next(each for each in path.absolute().parents if each.exists())
    state = os.statvfs(folder)
    free = shutil.disk_usage(folder).free
    room = f"{folder}: {free / 1e6:.0f} MB free"
    if state.f_flag & os.ST_RDONLY:
        return bad(f"{folder} is read-only", "sudo dmesg | grep -i mmc: a worn-out card?")
    if free < LOW_BYTES:
        return bad(room, "make space: journalctl --vacuum-size=50M, apt clean; or a larger card")
    if state.f_files and not state.f_favail:
        return bad(f"{room}, and no inode", "some program creates endless files: find it")
    return ok(room)


def clock(clock: Clock, installed: Path = Path(__file__)) -> Finding:
    """Check that the wall clock is plausible: a Pi without a battery boots with a past date.

    The finding says which time zone the device believes in.
    """
    now = clock.now()
    local = f"{_in_zone(now, clock)}, {_named_zone(clock.zone())}"
    since = datetime.fromtimestamp(installed.stat().st_mtime, UTC)
    if now < since:
        return bad(f"{local}: before this software was installed ({since.date()})", TIME)
    if not clock.synchronized():
        return bad(f"{local}: not synchronised: dates are marked as uncertain", TIME)
    return ok(f"{local}, synchronised")


def _in_zone(moment: datetime, clock: Clock) -> str:
    offset = timedelta(minutes=clock.utc_offset_minutes(moment))
    return moment.astimezone(timezone(offset)).isoformat(timespec="seconds")


def _named_zone(zone: Zone) -> str:
    if not zone.guessed:
        return f"time zone {zone.name}"
    guess = "unnamed, by the system's offset" if zone.name is None else f"{zone.name}, guessed"
    return f"time zone {guess}: sudo timedatectl set-timezone NAME sets it"


def services(units: Sequence[Unit] | None) -> Finding:
    """Check that both services run, start at boot and stay up. `units` is None without systemd."""
    if units is None:
        return off("systemd does not run here")
    found = "; ".join(f"{unit.name.removesuffix('.service')} {unit.text()}" for unit in units)
    for unit in units:
        if hint := _unit_hint(unit):
            return bad(found, hint)
    return ok(found)


def _unit_hint(unit: Unit) -> str | None:
    if not unit.loaded:
        return f"install it: there is no {unit.name}"
    if unit.enabled != "enabled":
        return f"sudo systemctl enable --now {unit.name}"
    if unit.active not in ("active", "reloading"):
        return f"journalctl -u {unit.name} -n 50; then: sudo systemctl restart {unit.name}"
    if unit.restarts > RESTARTS:
        return f"it keeps restarting: see journalctl -u {unit.name} -n 50"
    return None
