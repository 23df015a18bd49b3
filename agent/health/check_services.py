"""The check of the services, as systemd sees them."""

from collections.abc import Sequence

from agent.health.doctor import Finding, bad, off, ok
from agent.system.systemd import Unit

RESTARTS = 10  # since the boot: more is no accident


def services(units: Sequence[Unit] | None) -> Finding:
    """Whether both run, start at boot, and stay up. None: there is no systemd here."""
    if units is None:
        return off("systemd does not run here")
    found = "; ".join(f"{unit.name.removesuffix('.service')} {unit.text()}" for unit in units)
    for unit in units:
        if mend := _mend(unit):
            return bad(found, mend)
    return ok(found)


def _mend(unit: Unit) -> str | None:
    if not unit.loaded:
        return f"install it: there is no {unit.name}"
    if unit.enabled != "enabled":
        return f"sudo systemctl enable --now {unit.name}"
    if unit.active not in ("active", "reloading"):
        return f"journalctl -u {unit.name} -n 50; then: sudo systemctl restart {unit.name}"
    if unit.restarts > RESTARTS:
        return f"why does it start again and again? journalctl -u {unit.name} -n 50"
    return None
