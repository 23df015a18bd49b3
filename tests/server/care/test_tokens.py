"""API tokens: they have a name, a scope and an end, and nobody loses one without being told."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from server.care import accounts
from server.care.models import AuditEntry, Person, PersonToken
from server.operations import cli
from server.retention.tidying import tidy
from tests.server.care.access_matrix import MATRIX
from tests.server.conftest import PASSWORD, Api
from tests.server.session_data.test_accept_races import in_threads

TOKEN = "/api/auth/token/"
GOOD = "another long enough phrase"


def log_in(password=PASSWORD, headers=None, **more):
    body = {"username": "anna", "password": password, **more}
    return Client(headers=headers).post(TOKEN, body, content_type="application/json")


def browser_of(person):
    browser = Client()
    browser.force_login(person)
    return browser


def account_of(person):
    return browser_of(person).get("/account/").content.decode()


def change_password(person):
    fields = {"old": PASSWORD, "password": GOOD, "again": GOOD}
    return browser_of(person).post("/account/password/", fields, follow=True)


def expire(token):
    PersonToken.objects.filter(pk=PersonToken.find(token).pk).update(expires_at=timezone.now())


# How they end


def set_by_operator(person, tmp_path):
    file = tmp_path / "password"
    file.write_text(GOOD)
    assert cli.main(["set-password", person.username, "--password-file", str(file)]) == 0


def set_by_django(person, tmp_path):
    person.set_password(GOOD)
    person.save()


@pytest.mark.parametrize(
    "change", [lambda person, _: change_password(person), set_by_operator, set_by_django]
)
def test_a_changed_password_ends_every_token(world, monkeypatch, tmp_path, change):
    monkeypatch.setenv("BLINKLOG_SECRET_KEY", "x" * 60)
    token = log_in(name="Phone").json()["token"]
    change(world.anna, tmp_path)
    for each in (token, world.tokens["anna"]):
        answer = Api(each).get("/api/people/")
        assert (answer.status_code, answer.json()["code"]) == (401, "token_ended")
        assert "the password was changed" in answer.json()["detail"]
    assert Api(world.tokens["carl"]).get("/api/people/").status_code == 200
    assert log_in(password=GOOD).status_code == 201


def test_the_page_and_the_log_name_what_a_changed_password_ended(world):
    token = log_in(name="Phone").json()["token"]
    page = change_password(world.anna).content.decode()
    assert "These apps must log in again: Phone, App" in page
    world.anna.refresh_from_db()
    shown = account_of(world.anna)
    assert "Phone" in shown
    assert "the password was changed" in shown
    details = AuditEntry.objects.filter(event="token_revoked").values_list("detail", flat=True)
    assert f"Phone ({token[:12]}…): password changed" in details


def test_a_renewed_hash_is_no_new_password(world, settings):
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    before = world.anna.password
    assert log_in().status_code == 201
    world.anna.refresh_from_db()
    assert world.anna.password != before
    assert Api(world.tokens["anna"]).get("/api/people/").status_code == 200


def test_a_token_asked_for_with_the_old_password_is_not_issued(world):
    known = Person.objects.get(pk=world.anna.pk)
    accounts.change_password(world.anna, GOOD)
    with pytest.raises(accounts.PasswordChangedError):
        accounts.issue_token(known, "late")
    assert not PersonToken.live(world.anna)


@pytest.mark.django_db(transaction=True)
def test_no_token_outlives_a_password_that_changes_meanwhile(transactional_db, world):
    def log_in_slowly():
        known = Person.objects.get(username="anna")
        try:
            accounts.issue_token(known, "raced")
        except accounts.PasswordChangedError:
            return

    def change():
        accounts.change_password(Person.objects.get(username="anna"), GOOD)

    in_threads([log_in_slowly, change, log_in_slowly, log_in_slowly])
    assert Person.objects.get(username="anna").check_password(GOOD)
    old = PersonToken.live(world.anna).filter(name="raced")
    changed_at = AuditEntry.objects.get(event="password_changed").at
    assert not [each for each in old if each.created_at < changed_at]


def test_a_token_expires_and_says_so(world):
    answer = log_in(days=1, name="Script")
    token = answer.json()["token"]
    left = PersonToken.find(token).expires_at - timezone.now()
    assert timedelta(hours=23) < left <= timedelta(days=1)
    assert Api(token).get("/api/people/").status_code == 200
    assert "expires soon" in account_of(world.anna)
    expire(token)
    answer = Api(token).get("/api/people/")
    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")
    assert answer["WWW-Authenticate"] == "Bearer"
    assert "log in again" in answer.json()["detail"]
    shown = account_of(world.anna)
    assert "No longer connected" in shown
    assert "expired" in shown


def test_no_token_is_valid_for_ever(world):
    for days in (0, 366, 10**9, -1):
        assert log_in(days=days).status_code == 400
    for token in PersonToken.objects.all():
        assert token.expires_at <= timezone.now() + timedelta(days=365)


def test_of_too_many_tokens_the_one_unused_for_longest_ends_and_is_named(world):
    used = log_in(name="Phone").json()["token"]
    forgotten = log_in(name="Old script").json()["token"]
    PersonToken.objects.update(created_at=timezone.now() - timedelta(days=9))
    Api(used).get("/api/people/")
    PersonToken.find(world.tokens["anna"]).touch()
    for _ in range(PersonToken.MOST_LIVE - 2):
        log_in(name="New")
    assert PersonToken.live(world.anna).count() == PersonToken.MOST_LIVE
    assert Api(used).get("/api/people/").status_code == 200
    answer = Api(forgotten).get("/api/people/")
    assert answer.json()["code"] == "token_ended"
    assert "too many" in answer.json()["detail"]
    assert "too many apps: a newer one took its place" in account_of(world.anna)
    assert AuditEntry.objects.filter(
        event="token_revoked", detail__startswith="Old script"
    ).exists()


def test_an_app_that_logs_out_is_in_the_log(world):
    token = log_in(name="Phone").json()["token"]
    assert Api(token)("DELETE", TOKEN).status_code == 204
    answer = Api(token).get("/api/people/")
    assert "the app logged out" in answer.json()["detail"]
    assert AuditEntry.objects.get(event="token_revoked").detail.startswith("Phone (")


def test_only_the_holder_learns_that_a_token_was_valid_once(world):
    for text in ("blp_unknown", world.tokens["anna"][:12], world.tokens["revoked device token"]):
        answer = Api(text).get("/api/people/")
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    Person.objects.filter(pk=world.anna.pk).update(is_active=False)
    assert Api(world.tokens["anna"]).get("/api/people/").json()["code"] == "invalid_token"
    assert Api(world.tokens["revoked"]).get("/api/people/").json()["code"] == "invalid_token"


# What they are called and may do


@pytest.mark.parametrize(
    ("sent", "headers", "name"),
    [
        ({"name": "Anna's phone"}, None, "Anna's phone"),
        ({}, {"User-Agent": "curl/8.5.0 (x86_64)"}, "curl/8.5.0"),
        ({}, {"User-Agent": ""}, "App"),
        ({"name": " "}, {"User-Agent": "x" * 500}, "x" * 64),
        ({"name": "a\u202eb"}, None, "ab"),
    ],
)
def test_a_token_is_named_by_its_client(world, sent, headers, name):
    answer = log_in(headers=headers, **sent)
    assert (answer.status_code, answer.json()["name"]) == (201, name)
    assert Api(answer.json()["token"]).get(TOKEN).json()["name"] == name


def test_a_token_tells_its_scope_and_its_end(world):
    told = log_in(scope="read", days=30, name="Chart").json()
    shown = Api(told["token"]).get(TOKEN).json()
    assert shown == {key: told[key] for key in told if key != "token"}
    assert (shown["user"], shown["scope"]) == ("anna", "read")
    assert Api(world.tokens["device"]).get(TOKEN).status_code == 403


WRITES = {name: row for name, row in MATRIX.items() if row[1] not in ("GET", "HEAD")}


@pytest.mark.parametrize("what", sorted(set(WRITES) - {"claim", "log in", "delete token"}))
def test_a_read_only_token_changes_nothing(world, what):
    path, method, _, _ = WRITES[what]
    token = log_in(scope="read").json()["token"]
    nobody = "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"
    found = {"session": nobody, "own": nobody, "command": nobody, "alert": 0}
    notes = dict.fromkeys(("shared note", "private note", "Carl's note"), nobody)
    answer = Api(token)(method, path.format_map(found | notes), {})
    assert (answer.status_code, answer.json()["code"]) == (403, "token_read_only")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/invitations/"),
        ("POST", "/api/invitations/accept/"),
        ("PATCH", "/api/links/1/"),
        ("DELETE", "/api/links/1/"),
        ("POST", "/api/device/claim-codes/"),
    ],
)
def test_a_read_only_token_shares_nothing(world, method, path):
    token = log_in(scope="read").json()["token"]
    assert Api(token)(method, path, {}).json()["code"] == "token_read_only"


def test_a_read_only_token_reads_and_ends_itself(world):
    token = log_in(scope="read").json()["token"]
    assert Api(token).get("/api/session/history/").status_code == 200
    assert Api(token)("DELETE", TOKEN).status_code == 204


# On the page


def test_a_token_made_on_the_page_is_shown_once(world):
    browser = browser_of(world.anna)
    fields = {"name": "Home server", "scope": "read", "days": "30", "password": PASSWORD}
    assert browser.post("/account/apps/new/", fields | {"password": "wrong"}).status_code == 200
    assert browser.post("/account/apps/new/", fields | {"days": "9999"}).status_code == 200
    assert not PersonToken.objects.filter(name="Home server").exists()
    page = browser.post("/account/apps/new/", fields, follow=True)
    token = page.context["text"]
    assert token in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert Api(token).get("/api/people/").status_code == 200
    assert Api(token)("POST", "/api/session/start/", {}).status_code == 403
    shown = browser.get("/account/").content.decode()
    assert token not in shown
    for text in ("Home server", "Read only", token[:12], "last used today", "expires"):
        assert text in shown
    assert token not in str(AuditEntry.objects.values())


def test_a_name_is_text_on_the_page(world):
    log_in(name="<script>alert(1)</script>")
    assert "<script>alert" not in account_of(world.anna)


# Upkeep


def test_tokens_are_forgotten_long_after_they_would_have_expired(world):
    """A revoked one stays until then: an older backup could have it as a valid one."""
    count = PersonToken.objects.count()
    tidy(timezone.now() + timedelta(days=365 + 89))
    assert PersonToken.objects.count() == count
    tidy(timezone.now() + timedelta(days=365 + 91))
    assert PersonToken.objects.count() == 0
