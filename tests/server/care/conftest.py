"""Members of an institution, who may ask each other for access."""

import pytest

from server.care.models import Institution, Membership, Person, PersonToken


@pytest.fixture
def home(everybody):
    """Nora, a nurse, and Noah are members of the home that Anna is a member of."""
    home = Institution.objects.get(name="Home")
    for name in ("nora", "noah"):
        person = Person.objects.create_user(name, first_name=name.title(), last_name="Berg")
        everybody.tokens[name] = PersonToken.issue(person)
        Membership.objects.create(institution=home, person=person)
    Person.objects.filter(username="anna").update(first_name="Anna", last_name="Maria Lind")
    return home
