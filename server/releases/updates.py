"""Ask a device to install a release, note what it reports, and tell it what is wanted.

A device asks every few minutes; nothing is pushed. What it reports is untrusted, and changes only
what the page says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from server.care.audit import note
from server.care.models import AuditEvent, Person
from server.devices.manage import acting_for
from server.devices.models import Device
from server.releases import shelf
from server.releases.manifest import read_statement
from server.releases.models import OVER, WITHDRAWABLE, Update, UpdateState
from server.releases.shelf import Release
from server.releases.signing import fingerprint

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Software:
    """What can be said of a device's software.

    `offered` is the release that it could take, `update` the last request, and `trusts` whether it
    trusts this server's key: None if it has not reported, or if the server has no key. `key` is the
    fingerprint of that key.
    """

    version: str
    offered: Release | None
    update: Update | None
    trusts: bool | None
    key: str | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether an update has been asked for and is not over."""
        return self.update is not None and self.update.state not in OVER

    @property
    def can_withdraw(self) -> bool:
        """Whether the update can still be withdrawn."""
        return self.update is not None and self.update.state in WITHDRAWABLE


def software_of(device: Device) -> Software:
    """Return what can be said of the device's software now."""
    told = getattr(device, "update", None)
    pem = shelf.key()
    if told is None or told.told_at is None or pem is None:
        return Software(device.agent_version, None, None, None)
    offered = shelf.best_for(device.agent_version, told.machine, told.python)
    is_asked = told.request is not None and told.person_pk == device.person_id
    update = told if is_asked else None
    signed_by = fingerprint(pem)
    return Software(device.agent_version, offered, update, _trusts(told.key, signed_by), signed_by)


def _trusts(key: str, signed_by: str) -> bool:
    """Return whether a device that trusts `key` can follow the rotations to the present one."""
    introduced = {read_statement(each["statement"])[1] for each in shelf.rotations()}
    return key in introduced | {signed_by}


def ask(viewer: Person, device: Device, sha256: str) -> Update:
    """Ask the device to install the release that it is offered. Raises `ValidationError`.

    `sha256` is that of the release that the viewer saw.
    """
    found = software_of(device)
    if device.revoked_at:
        raise ValidationError(_("This device is blocked."), "device_blocked")
    if found.offered is None or found.offered.manifest.sha256 != sha256:
        text = _("This release is not offered for this device any more.")
        raise ValidationError(text, "no_such_release")
    if not found.trusts:
        raise ValidationError(_("The device does not trust this server's key."), "key_not_trusted")
    if found.is_under_way:
        raise ValidationError(_("An update of this device is under way."), "update_under_way")
    manifest = found.offered.manifest
    update, _is_new = Update.objects.update_or_create(
        device=device,
        defaults={
            "request": uuid4(),
            "person_pk": device.person_id,
            "version": manifest.version,
            "sha256": manifest.sha256,
            "asked_by": viewer,
            "asked_at": timezone.now(),
            **_state(UpdateState.ASKED),
        },
    )
    _note(viewer, AuditEvent.UPDATE_ASKED, device, manifest.version)
    return update


def withdraw(viewer: Person, device: Device) -> bool:
    """Withdraw the request; return False if the device is installing it already, or there is none.

    A device that has not heard of it yet may still begin.
    """
    rows = Update.objects.filter(device=device, state__in=WITHDRAWABLE, request__isnull=False)
    version = rows.values_list("version", flat=True).first()
    if not rows.update(request=None, changed_at=timezone.now()):
        return False
    _note(viewer, AuditEvent.UPDATE_WITHDRAWN, device, version or "")
    return True


def report(device: Device, told: Mapping[str, Any]) -> Json | None:
    """Note a device's checked report; return the release that it is to install, or None."""
    with transaction.atomic():
        Device.objects.select_for_update().get(pk=device.pk)
        update, _is_new = Update.objects.get_or_create(device=device)
        _note_itself(device, update, told)
        said = told.get("update")
        if said is not None and said["request"] == update.request and update.state not in OVER:
            _note_progress(device, update, said)
    return _wanted(device, update)


def _note_itself(device: Device, update: Update, told: Mapping[str, Any]) -> None:
    if told["version"] != device.agent_version:
        device.agent_version = told["version"]
        device.save(update_fields=["agent_version"])
    own = {name: told[name] or "" for name in ("machine", "python", "key")}
    if update.told_at is None or any(getattr(update, name) != own[name] for name in own):
        _save(update, told_at=timezone.now(), **own)


def _note_progress(device: Device, update: Update, said: Mapping[str, Any]) -> None:
    state = UpdateState(said["state"])
    now = _state(state, said.get("percent"), said.get("code") or "", said.get("problem") or "")
    if all(getattr(update, name) == value for name, value in now.items() if name != "changed_at"):
        return
    _save(update, **now)
    if state in OVER:
        detail = f"{device.label}: {update.version} {state}"
        note(None, AuditEvent.UPDATE_ENDED, device.person, detail)


def _wanted(device: Device, update: Update) -> Json | None:
    """Return what the device is to install, with all that it needs to check it."""
    is_asked = update.request is not None and update.person_pk == device.person_id
    if not is_asked or update.state in OVER or device.credentials_ended:
        return None
    release = shelf.with_sha256(update.sha256)
    if release is None:
        _save(update, **_state(UpdateState.FAILED, code="removed"))
        return None
    return {
        "request": str(update.request),
        "manifest": release.manifest.text,
        "signature": release.signature,
        "keys": shelf.rotations(),
    }


def archive_for(device: Device, sha256: str) -> Release | None:
    """Return the release with this archive if the device is to install it."""
    update = Update.objects.filter(device=device, sha256=sha256, request__isnull=False).first()
    if update is None or update.state in OVER or update.person_pk != device.person_id:
        return None
    return shelf.with_sha256(sha256)


def _state(
    state: UpdateState, percent: int | None = None, code: str = "", problem: str = ""
) -> Json:
    now = timezone.now()
    return {
        "state": state, "percent": percent, "code": code, "problem": problem, "changed_at": now,
    }  # fmt: skip


def _save(update: Update, **values: Any) -> None:
    for name, value in values.items():
        setattr(update, name, value)
    update.save(update_fields=list(values))


def _note(viewer: Person, event: AuditEvent, device: Device, version: str) -> None:
    institution = acting_for(viewer, device.person)
    note(viewer, event, device.person, f"{device.label}: {version}", institution=institution)
