"""Change a person's choice about reminders, and say what it is."""

from django.utils import timezone
from django.utils.formats import number_format

from server.care.audit import note
from server.care.models import AuditEvent, Person
from server.devices.manage import acting_for
from server.reminding.models import Mode, Reminding
from server.reminding.usual import compute


def choice_of(person: Person) -> Reminding:
    """Return the person's choice; one that is off and not saved if they never chose."""
    return Reminding.objects.filter(person=person).first() or Reminding(person=person)


def choose(viewer: Person, person: Person, mode: Mode, below_per_min: float | None) -> Reminding:
    """Set when the light asks for blinks. `below_per_min` is needed for `Mode.FIXED` alone."""
    choice = choice_of(person)
    before = choice.mode, choice.below_per_min
    choice.mode = mode
    if mode == Mode.FIXED:
        choice.below_per_min = below_per_min
    choice.changed_at = timezone.now()
    if viewer.pk == person.pk:
        choice.agreed_at = choice.changed_at
    choice.save()
    if mode == Mode.OWN:
        compute(choice, timezone.now())
    if before != (choice.mode, choice.below_per_min):
        detail = mode.value
        if mode == Mode.FIXED:
            detail = f"below {number_format(choice.below_per_min or 0, use_l10n=False)} a minute"
        institution = acting_for(viewer, person)
        note(viewer, AuditEvent.REMINDING_CHANGED, person, detail, institution=institution)
    return choice
