"""What the admin site doesn't do: read measurements, erase logs, or change rights unseen."""

import re
import uuid

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from server.care.models import (
    AccessLog,
    AuditEntry,
    CareLink,
    Institution,
    Membership,
    Person,
    PersonToken,
)
from server.devices.models import Command, DeadLetter, DeviceToken
from server.session_data.accept import accept_session
from server.session_data.dead_letters import keep_dead_letter
from tests.server.conftest import Api, golden

SESSIONS = "/admin/session_data/sessiondata/"


@pytest.fixture
def root(world):
    client = Client()
    client.force_login(Person.objects.create_superuser("root", timezone="UTC"))
    return client


@pytest.fixture
def session(world):
    document = golden("final")
    accept_session(world.device, document)
    return document


def told(person):
    """The events of the person's log, as they read it."""
    token = PersonToken.issue(person)
    rows = Api(token).get("/api/audit-log/").json()["results"]
    return [(each["event"], each["actor"], each["detail"]) for each in rows]


# Filters


@pytest.mark.parametrize(
    "lookup",
    [
        "blink_count__gte",
        "blink_count",
        "perclos__lt",
        "ear_mean__gt",
        "document_json__contains",
        "document_json__regex",
        "user__blinks",
        "user__password__startswith",
        "user__tokens__digest__startswith",
        "device__tokens__digest__startswith",
        "state__in",
        "id__in",
        "user__username",
        "user__id__exact",
    ],
)
def test_the_list_of_sessions_answers_no_question_but_its_own(root, session, lookup):
    for value in ("0", "1000000", "a"):
        assert root.get(SESSIONS, {lookup: value}).status_code == 400


def test_nobody_bisects_a_measurement(root, session):
    """Twenty requests found the number of blinks; now all get the same refusal."""
    answers = {root.get(SESSIONS, {"blink_count__gte": 1 << n}).status_code for n in range(20)}
    assert answers == {400}


@pytest.mark.parametrize("model", sorted(admin.site._registry, key=str), ids=str)
def test_no_list_filters_by_anything_that_is_not_declared(root, model):
    page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    allowed = admin.site._registry[model].allowed_lookups
    for field in model._meta.get_fields():
        for suffix in ("", "__gte"):
            if field.name + suffix not in allowed:
                answer = root.get(page, {field.name + suffix: "1"})
                assert answer.status_code == 400, field.name + suffix
        if field.is_relation and field.related_model is not None:
            lookup = f"{field.name}__{field.related_model._meta.pk.name}"
            assert root.get(page, {lookup: "1"}).status_code == 400, lookup


@pytest.mark.parametrize("model", sorted(admin.site._registry, key=str), ids=str)
def test_the_filters_of_each_list_work(root, session, model):
    page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    shown = root.get(page).content.decode()
    links = set(re.findall(r'href="(\?[a-z_]+(?:__[a-z]+)*=[^"&]*)"', shown))
    links = {link for link in links if not re.match(r"\?(o|p|q|all|_)", link)}
    assert bool(links) == bool(admin.site._registry[model].list_filter)
    for link in links:
        assert root.get(page + link).status_code == 200, link


@pytest.mark.parametrize("model", sorted(admin.site._registry, key=str), ids=str)
def test_nothing_is_ordered_hidden_edited_or_reached_by_another_column(root, session, model):
    made = admin.site._registry[model]
    assert made.date_hierarchy is None
    assert not made.list_editable
    page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    for text in ("blink_count", "-document_json", "99", "-99"):
        answer = root.get(page, {"o": text})
        assert answer.status_code == 200
        assert "blink_count" not in str(answer.context["cl"].queryset.query.order_by)
    for field in model._meta.concrete_fields:
        if not field.primary_key:
            asked = {"_to_field": field.name, "_popup": "1"}
            assert root.get(page, asked).status_code == 400, field.name


@pytest.mark.parametrize("column", ["username", "password", "email"])
def test_a_person_is_not_reached_by_another_column(root, world, column):
    page = reverse("admin:care_person_change", args=[getattr(world.anna, column) or "x"])
    assert root.get(page, {"_to_field": column}).status_code in (400, 404, 302)


def test_a_field_that_the_site_does_not_complete_completes_nothing(root, world, session):
    for model, field in (
        ("session_data.sessiondata", "user"),
        ("session_data.sessiondata", "device"),
        ("care.accesslog", "person"),
        ("care.persontoken", "person"),
        ("admin.logentry", "user"),
        ("authtoken.token", "user"),
    ):
        app, name = model.split(".")
        asked = {"app_label": app, "model_name": name, "field_name": field, "term": "a"}
        assert root.get("/admin/autocomplete/", asked).status_code == 403, model
    asked = {"app_label": "devices", "model_name": "device", "field_name": "person", "term": "an"}
    answer = root.get("/admin/autocomplete/", asked)
    assert [each["text"] for each in answer.json()["results"]] == ["anna"]


def test_a_rejected_document_shows_no_values_and_is_not_searched_for_them(root, world):
    reason = "metrics.blink_count: expected at most 100, found 4137137"
    keep_dead_letter("mqtt", str(world.device.pk), world.device, reason, b"{")
    letter = DeadLetter.objects.get()
    listed = "/admin/session_data/deadletter/"
    for page in (listed, f"{listed}{letter.pk}/change/"):
        shown = root.get(page).content.decode()
        assert "expected at most 100" in shown
        assert "4137137" not in shown
    for term in ("4137137", "136"):
        assert "expected at most" not in root.get(listed, {"q": term}).content.decode()


def test_only_pages_of_the_own_kind_are_on_the_site():
    assert all(hasattr(made, "allowed_lookups") for made in admin.site._registry.values())
    assert "otp" not in " ".join(model._meta.app_label for model in admin.site._registry)


# The API


@pytest.mark.parametrize(
    "path",
    [
        "/api/session/history/",
        "/api/session/summary/",
        "/api/session/export/",
        "/api/alerts/",
        "/api/people/",
        "/api/links/",
        "/api/invitations/",
        "/api/audit-log/",
        "/api/access-log/",
        "/api/device/",
        "/api/device/managed/",
    ],
)
def test_the_api_filters_and_orders_by_nothing_that_it_does_not_name(api, session, path):
    for name in ("blink_count__gte", "ordering", "document_json__contains", "search", "o"):
        answer = api("carl").get(path, **{name: "99999"})
        if answer.status_code != 400:
            assert answer.content == api("carl").get(path).content, name


# Logs


def test_logs_and_tokens_are_neither_deleted_nor_changed(root, world):
    api_log = Api(world.tokens["carl"])
    api_log.get("/api/session/history/", user="anna")
    browser = Client()
    browser.post("/login/", {"username": "anna", "password": "wrong"})
    Command.objects.create(
        device=world.device, person=world.anna, asked_by=world.carl, asked_by_name="carl",
        command="start", session_id=uuid.uuid4(), expires_at="2030-01-01T00:00Z",
    )  # fmt: skip
    link = CareLink.objects.first()
    for model in (AccessLog, AuditEntry, Command, PersonToken, DeviceToken, CareLink):
        row, before = model.objects.first(), model.objects.count()
        base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        delete = reverse(f"{base}_delete", args=[row.pk])
        assert root.post(delete, {"post": "yes"}).status_code == 403, model
        form = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
        root.post(reverse(f"{base}_changelist"), form)
        assert model.objects.count() == before, model
    for model in (AccessLog, AuditEntry, Command):
        row = model.objects.first()
        base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        change = reverse(f"{base}_change", args=[row.pk])
        assert root.post(change, {"viewer_name": "nobody", "detail": "x"}).status_code == 403
        assert root.get(reverse(f"{base}_add")).status_code == 403
    assert CareLink.objects.filter(pk=link.pk).exists()


def test_a_rejected_document_that_is_deleted_there_is_in_its_persons_log(root, world):
    for _ in range(2):
        keep_dead_letter("mqtt", str(world.device.pk), world.device, "no", b"{")
    one, other = DeadLetter.objects.all()
    listed = "/admin/session_data/deadletter/"
    root.post(f"{listed}{one.pk}/delete/", {"post": "yes"})
    form = {"action": "delete_selected", "_selected_action": [other.pk], "post": "yes"}
    root.post(listed, form)
    assert not DeadLetter.objects.exists()
    found = AuditEntry.objects.filter(event="deleted", subject=world.anna, actor_name="root")
    assert "rejected document" in found.first().detail


# Rights


def members_form(institution, **rows):
    """The form of an institution's page: `anna="admin"`, `otto=None` leaves."""
    prefix, kept = "memberships", list(institution.memberships.all())
    form = {"name": institution.name, f"{prefix}-INITIAL_FORMS": len(kept)}
    names = [each.person.username for each in kept]
    names += [name for name in rows if name not in names]
    for number, name in enumerate(names):
        row = f"{prefix}-{number}"
        role = rows.get(name, "keep")
        old = next((each for each in kept if each.person.username == name), None)
        form |= {f"{row}-id": old.pk if old else "", f"{row}-institution": institution.pk}
        form |= {f"{row}-person": Person.objects.get(username=name).pk}
        form |= {f"{row}-role": role if role in ("admin", "member") else old.role}
        if role is None:
            form |= {f"{row}-DELETE": "on"}
    return form | {f"{prefix}-TOTAL_FORMS": len(names)}


def test_who_is_taken_into_an_institution_reads_it_in_their_log(root, world):
    home = Institution.objects.create(name="Haus am See")
    page = reverse("admin:care_institution_change", args=[home.pk])
    assert root.post(page, members_form(home, anna="member")).status_code == 302
    assert root.post(page, members_form(home, anna="admin")).status_code == 302
    assert root.post(page, members_form(home, anna="admin")).status_code == 302  # nothing new
    assert root.post(page, members_form(home, anna=None)).status_code == 302
    assert not Membership.objects.exists()
    expected = ["left Haus am See", "admin of Haus am See", "member of Haus am See"]
    assert told(world.anna) == [("role_changed", "root", each) for each in expected]


def test_one_who_is_replaced_by_another_reads_it_too(root, world):
    home = Institution.objects.create(name="Haus am See")
    Membership.objects.create(institution=home, person=world.anna)
    form = members_form(home) | {"memberships-0-person": world.otto.pk}
    page = reverse("admin:care_institution_change", args=[home.pk])
    assert root.post(page, form).status_code == 302
    assert told(world.anna) == [("role_changed", "root", "left Haus am See")]
    assert told(world.otto) == [("role_changed", "root", "member of Haus am See")]


@pytest.mark.parametrize("how", ["one", "several"])
def test_the_end_of_an_institution_is_in_its_members_logs(root, world, how):
    home = Institution.objects.create(name="Haus am See")
    Membership.objects.create(institution=home, person=world.anna, role="admin")
    listed = reverse("admin:care_institution_changelist")
    if how == "one":
        page = reverse("admin:care_institution_delete", args=[home.pk])
        assert root.post(page, {"post": "yes"}).status_code == 302
    else:
        form = {"action": "delete_selected", "_selected_action": [home.pk], "post": "yes"}
        assert root.post(listed, form).status_code == 302
    assert not Institution.objects.exists()
    assert told(world.anna) == [("role_changed", "root", "left Haus am See")]


def person_form(person, **changes):
    form = {
        "username": person.username,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "email": person.email,
        "is_active": "on",
        "timezone": person.timezone,
        "language": person.language,
    }
    for prefix in ("", "initial-"):  # as the page sends what it got
        form[f"{prefix}date_joined_0"] = person.date_joined.strftime("%Y-%m-%d")
        form[f"{prefix}date_joined_1"] = person.date_joined.strftime("%H:%M:%S")
    return {key: text for key, text in (form | changes).items() if text is not None}


def test_whatever_is_changed_of_an_account_is_in_its_log(root, world):
    page = reverse("admin:care_person_change", args=[world.anna.pk])
    assert root.post(page, person_form(world.anna, is_staff="on")).status_code == 302
    form = person_form(world.anna, is_staff="on", username="hanna", email="x@example.org")
    assert root.post(page, form).status_code == 302
    world.anna.refresh_from_db()
    assert told(world.anna) == [
        ("account_changed", "root", "email, username"),
        ("role_changed", "root", "is_staff"),
    ]


def test_nobody_makes_themselves_an_administrator(world):
    Person.objects.filter(pk=world.carl.pk).update(is_staff=True)
    for name in ("change_person", "view_person"):
        world.carl.user_permissions.add(Permission.objects.get(codename=name))
    client = Client()
    client.force_login(world.carl)
    page = reverse("admin:care_person_change", args=[world.carl.pk])
    form = person_form(world.carl, is_staff="on", is_superuser="on")
    assert client.post(page, form).status_code == 302
    world.carl.refresh_from_db()
    assert not world.carl.is_superuser


def test_a_group_does_not_change_rights_behind_its_members(root, world):
    """Groups are not on the site: a right is given to a person, and is in that person's log."""
    group = Group.objects.create(name="helpers")
    world.anna.groups.add(group)
    assert root.get("/admin/auth/group/").status_code == 404
    assert root.get(f"/admin/auth/group/{group.pk}/change/").status_code == 404


@pytest.mark.parametrize("kind", [PersonToken, DeviceToken])
def test_a_token_that_is_revoked_there_is_in_its_persons_log(root, world, kind):
    token = kind.find(world.tokens["anna" if kind is PersonToken else "device"])
    page = reverse(f"admin:{kind._meta.app_label}_{kind._meta.model_name}_change", args=[token.pk])
    form = {"revoked_at_0": "2026-01-01", "revoked_at_1": "12:00:00"}
    assert root.post(page, form).status_code == 302
    assert kind.find(world.tokens["anna" if kind is PersonToken else "device"]) is None
    ((event, actor, detail),) = told(world.anna)
    assert (event, actor) == ("token_revoked", "root")
    assert token.prefix in detail
