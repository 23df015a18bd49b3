"""Accounts: who may make one, passwords, the second factor at every door, and one's apps."""

import time
from base64 import b32decode
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from server.care import second_factor, sharing
from server.care.models import AuditEntry, Invitation, Permission, Person, PersonToken
from server.care.pages.login import PENDING
from server.operations import cli
from tests.server.conftest import PASSWORD, Api
from tests.server.session_data.test_accept_races import in_threads

GOOD = "another long enough phrase"
TOKEN = "/api/auth/token/"


def browser_of(person):
    browser = Client()
    browser.force_login(person)
    return browser


def is_in(browser):
    return "_auth_user_id" in browser.session


def code_of(person, steps=0):
    """What the person's authenticator shows, `steps` half minutes from now."""
    device = TOTPDevice.objects.get(user=person)
    totp = TOTP(device.bin_key)
    totp.time = time.time() + 30 * steps
    return f"{totp.token():06d}"


@pytest.fixture
def guarded(world):
    """Anna, with a second factor whose last code was used a while ago."""
    device = second_factor.begin(world.anna)
    assert second_factor.confirm(world.anna, code_of(world.anna))
    TOTPDevice.objects.filter(pk=device.pk).update(last_t=-1)
    return world.anna


def log_in(browser, name="anna", **more):
    return browser.post("/login/", {"username": name, "password": PASSWORD, **more})


# Signing up


def sign_up(browser, **changes):
    fields = {"username": "dora", "name": "Dora", "password": GOOD, "again": GOOD}
    return browser.post("/sign-up/", fields | changes)


@pytest.mark.parametrize(("mode", "status"), [("open", 200), ("invited", 302), ("closed", 404)])
def test_sign_up_is_as_open_as_its_setting_says(db, settings, mode, status):
    settings.SIGN_UP = mode
    assert Client().get("/sign-up/").status_code == status
    answer = sign_up(Client())
    assert Person.objects.filter(username="dora").exists() == (mode == "open")
    assert answer.status_code == (302 if mode == "open" else status)


@pytest.mark.parametrize(("mode", "made"), [("invited", True), ("closed", False)])
def test_who_was_invited_makes_an_account_and_accepts(world, settings, mode, made):
    settings.SIGN_UP = mode
    _, code = sharing.invite(world.anna, ["live"])
    browser = Client()
    page = browser.post("/join/", {"code": code}, follow=True).content.decode()
    assert ("/sign-up/" in page) == made
    answer = sign_up(browser)
    assert Person.objects.filter(username="dora").exists() == made
    if made:
        assert answer["Location"] == "/"
        assert sharing.find(code) is None  # one account for each invitation
        dora = Person.objects.get(username="dora")
        assert dora.caring_for.get().permissions == {Permission.LIVE}
        assert not dora.is_staff
    else:
        assert Invitation.live().exists()  # for somebody who has an account


@pytest.mark.parametrize(
    "changes",
    [
        {"password": "12345678", "again": "12345678"},
        {"again": "something else"},
        {"username": "anna"},
        {"username": "a b"},
        {"username": "a\x00b"},
        {"username": ""},
        {"name": "x" * 151},
        {"name": "Dora Mitternacht", "password": "Mitternacht1", "again": "Mitternacht1"},
    ],
)
def test_an_account_that_may_not_be_is_not_made(world, settings, changes):
    settings.SIGN_UP = "open"
    answer = sign_up(Client(), **changes)
    assert answer.status_code == 200
    assert 'role="alert"' in answer.content.decode()
    assert not Person.objects.filter(username="dora").exists()


def test_one_address_makes_only_so_many_accounts(db, settings):
    settings.SIGN_UP = "open"
    statuses = [sign_up(Client(), username=f"dora{n}").status_code for n in range(11)]
    assert statuses == [302] * 10 + [429]


def test_a_setting_that_is_none_is_refused(monkeypatch):
    from server.config.environment import one_of

    monkeypatch.setenv("BLINKLOG_SIGN_UP", "maybe")
    with pytest.raises(Exception, match="expected one of invited, open, closed, found 'maybe'"):
        one_of("BLINKLOG_SIGN_UP", "invited", "open", "closed")


# Passwords


def change(browser, **changes):
    fields = {"old": PASSWORD, "password": GOOD, "again": GOOD}
    return browser.post("/account/password/", fields | changes)


def test_a_changed_password_logs_other_browsers_out_and_not_this_one(world):
    here, there = browser_of(world.anna), browser_of(world.anna)
    assert change(here).status_code == 302
    assert here.get("/account/").status_code == 200
    assert there.get("/account/").status_code == 302
    world.anna.refresh_from_db()
    assert world.anna.check_password(GOOD)
    assert AuditEntry.objects.filter(event="password_changed", subject=world.anna).exists()


@pytest.mark.parametrize(
    "changes", [{"old": "wrong"}, {"again": "x"}, {"password": "password", "again": "password"}]
)
def test_a_password_is_not_changed_by_who_does_not_know_it_nor_to_a_bad_one(world, changes):
    assert change(browser_of(world.anna), **changes).status_code == 200
    world.anna.refresh_from_db()
    assert world.anna.check_password(PASSWORD)


def test_an_open_browser_is_no_place_to_guess_the_password(world):
    browser = browser_of(world.anna)
    for _ in range(10):
        change(browser, old="wrong")
    assert "Too many failed attempts" in change(browser).content.decode()
    world.anna.refresh_from_db()
    assert world.anna.check_password(PASSWORD)


def test_the_operator_sets_a_password(world, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("BLINKLOG_SECRET_KEY", "x" * 60)
    for text, status in (("12345678", 1), (GOOD, 0)):
        (tmp_path / "password").write_text(text)
        file = str(tmp_path / "password")
        assert cli.main(["set-password", "anna", "--password-file", file]) == status
    assert cli.main(["set-password", "anna"]) == 1
    world.anna.refresh_from_db()
    assert world.anna.check_password(GOOD)
    assert GOOD not in capsys.readouterr().out


# The second factor


def test_it_is_set_up_by_scanning_and_typing_the_first_code(world):
    browser = browser_of(world.anna)
    page = browser.get("/account/second-factor/").content.decode()
    assert "<svg" in page
    assert "style=" not in page.partition("<main")[2]  # the browser would refuse it
    uri = TOTPDevice.objects.get().config_url
    secret = parse_qs(urlsplit(uri).query)["secret"][0]
    assert b32decode(secret) == TOTPDevice.objects.get().bin_key
    assert "".join(page.split()).count(secret) or secret[:4] in page
    assert not second_factor.is_on(world.anna)  # nobody is locked out by looking
    code = code_of(world.anna)
    typed = {"code": f"{code[:3]} {code[3:]}", "password": PASSWORD}
    for wrong in ({"code": "000000"}, {"password": "wrong"}, {"password": ""}):
        assert browser.post("/account/second-factor/", typed | wrong).status_code == 200
        assert not second_factor.is_on(world.anna)
    page = browser.post("/account/second-factor/", typed, follow=True)
    assert second_factor.is_on(world.anna)
    assert len(page.context["codes"]) == second_factor.RECOVERY_CODES
    assert browser.get("/account/second-factor/").status_code == 302  # no secret is shown again


def test_after_the_password_the_code_is_asked_for(guarded):
    browser = Client()
    answer = log_in(browser, next="/sharing/")
    assert answer["Location"] == "/login/code/"
    assert not is_in(browser)
    assert browser.get("/sharing/").status_code == 302  # half a log-in opens nothing
    assert browser.get("/api/people/").status_code == 401
    assert browser.post("/login/code/", {"code": "000000"}).status_code == 200
    assert not is_in(browser)
    answer = browser.post("/login/code/", {"code": code_of(guarded)})
    assert answer["Location"] == "/sharing/"
    assert is_in(browser)


def test_a_code_works_once(guarded):
    code = code_of(guarded)
    for expected in (True, False):
        browser = Client()
        log_in(browser)
        browser.post("/login/code/", {"code": code})
        assert is_in(browser) == expected


@pytest.mark.django_db(transaction=True)
def test_of_six_who_use_a_code_at_once_one_is_let_in(transactional_db, guarded):
    code = code_of(guarded)
    answers = in_threads([lambda: second_factor.check(None, guarded, code)] * 6)
    assert answers.count(True) == 1


def test_a_recovery_code_works_once(guarded):
    code = StaticToken.objects.first().token
    for expected in (True, False):
        browser = Client()
        log_in(browser)
        browser.post("/login/code/", {"code": code.upper()})
        assert is_in(browser) == expected
    assert second_factor.recovery_codes_left(guarded) == second_factor.RECOVERY_CODES - 1


def test_who_guesses_codes_has_to_wait_even_with_the_right_one(guarded):
    browser = Client()
    log_in(browser)
    for _ in range(second_factor.MOST_BY_PERSON):
        browser.post("/login/code/", {"code": "000000"})
    answer = browser.post("/login/code/", {"code": code_of(guarded)})
    assert (answer.status_code, "Retry-After" in answer) == (429, True)
    assert not is_in(browser)
    body = {"username": "anna", "password": PASSWORD, "code": code_of(guarded)}
    assert Api()("POST", TOKEN, body).status_code == 429  # at every door together


def test_half_a_log_in_does_not_last(guarded):
    for spoil in ("late", "password", "inactive"):
        browser = Client()
        log_in(browser)
        if spoil == "late":
            session = browser.session
            session[PENDING] |= {"until": time.time() - 1}
            session.save()
        elif spoil == "password":
            Person.objects.filter(pk=guarded.pk).update(password="!changed")
        else:
            guarded.is_active = False
            guarded.save()
        answer = browser.post("/login/code/", {"code": code_of(guarded)})
        assert answer["Location"] == "/login/", spoil
        assert not is_in(browser), spoil
        guarded.set_password(PASSWORD)
        guarded.is_active = True
        guarded.save()


def test_the_code_page_is_for_who_has_just_given_the_password(world):
    assert Client().get("/login/code/")["Location"] == "/login/"
    assert Client().post("/login/code/", {"code": "1"})["Location"] == "/login/"


def test_an_app_needs_the_code_too(guarded):
    body = {"username": "anna", "password": PASSWORD}
    without, wrong = Api()("POST", TOKEN, body), Api()("POST", TOKEN, body | {"code": "000000"})
    assert (without.status_code, wrong.status_code) == (401, 401)
    assert without.json()["code"] == "second_factor_missing"
    assert "second factor" in without.json()["detail"]
    assert wrong.json()["code"] == "second_factor_wrong"
    answer = Api()("POST", TOKEN, body | {"code": code_of(guarded)})
    assert answer.status_code == 201
    assert Api(answer.json()["token"]).get("/api/people/").status_code == 200


def test_so_does_the_admin_site(guarded):
    Person.objects.filter(pk=guarded.pk).update(is_staff=True, is_superuser=True)
    browser = Client()
    assert browser.get("/admin/")["Location"] == "/admin/login/?next=/admin/"
    answer = browser.post("/admin/login/?next=/admin/", {"username": "anna", "password": PASSWORD})
    assert answer["Location"] == "/login/?next=%2Fadmin%2F"
    log_in(browser, next="/admin/")
    assert browser.get("/admin/").status_code == 302
    answer = browser.post("/login/code/", {"code": code_of(guarded)})
    assert answer["Location"] == "/admin/"
    assert browser.get("/admin/").status_code == 200


def test_the_admins_door_leads_nobody_elsewhere_and_in_no_circle(world):
    browser = Client()
    answer = browser.get("/admin/login/", {"next": "https://example.org/"})
    assert answer["Location"] == "/login/?next=%2Fadmin%2F"
    assert browser_of(world.anna).get("/admin/login/").status_code == 403


def test_it_is_turned_off_by_who_knows_the_password(guarded):
    browser = browser_of(guarded)
    browser.post("/account/second-factor/off/", {"password": "wrong"})
    assert second_factor.is_on(guarded)
    browser.post("/account/second-factor/off/", {"password": PASSWORD})
    assert not second_factor.is_on(guarded)
    assert not StaticToken.objects.exists()
    assert log_in(Client())["Location"] == "/"


def test_new_recovery_codes_end_the_old_ones(guarded):
    old = set(StaticToken.objects.values_list("token", flat=True))
    browser = browser_of(guarded)
    assert browser.post("/account/recovery-codes/", {"password": "wrong"}).status_code == 200
    assert old == set(StaticToken.objects.values_list("token", flat=True))
    page = browser.post("/account/recovery-codes/", {"password": PASSWORD}, follow=True)
    assert not old & set(page.context["codes"])
    assert set(page.context["codes"]) == set(StaticToken.objects.values_list("token", flat=True))


def test_the_operator_lets_in_who_lost_both(guarded, monkeypatch):
    monkeypatch.setenv("BLINKLOG_SECRET_KEY", "x" * 60)
    assert cli.main(["remove-second-factor", "anna"]) == 0
    assert not second_factor.is_on(guarded)
    assert cli.main(["remove-second-factor", "anna"]) == 1


# Apps, and the log


def test_ones_apps_are_listed_and_shut_out(world):
    browser = browser_of(world.anna)
    token = PersonToken.find(world.tokens["anna"])
    page = browser.get("/account/").content.decode()
    assert token.prefix in page
    assert world.tokens["anna"] not in page
    assert browser.post(f"/account/apps/{token.pk}/revoke/").status_code == 302
    assert Api(world.tokens["anna"]).get("/api/people/").status_code == 401
    assert browser.post(f"/account/apps/{token.pk}/revoke/").status_code == 404


def test_log_ins_are_in_the_log_of_whose_they_are(world):
    browser = Client()
    log_in(browser)
    browser.post("/logout/")
    browser.post("/login/", {"username": "anna", "password": "wrong"})
    browser.post("/login/", {"username": "nobody here", "password": "wrong"})
    Api()("POST", TOKEN, {"username": "anna", "password": PASSWORD})
    told = Api(world.tokens["anna"]).get("/api/audit-log/").json()["results"]
    assert [each["event"] for each in told] == ["token_issued", "login_failed", "logout", "login"]
    assert "nobody here" not in str(AuditEntry.objects.values())


@pytest.mark.parametrize(
    "name",
    ["localtime", "Factory", "posixrules", "posix/Asia/Tokyo", "europe/berlin", "/etc/localtime"],
)
def test_the_clock_of_the_server_is_nobodys_time_zone(world, name):
    world.anna.timezone = name
    with pytest.raises(ValidationError) as refused:
        world.anna.full_clean()
    assert list(refused.value.message_dict) == ["timezone"]


def test_a_person_sets_name_and_zone(world):
    browser = browser_of(world.anna)
    fields = {"first_name": "Anna", "last_name": "A.", "timezone": "Asia/Tokyo", "language": "de"}
    assert browser.post("/account/", fields).status_code == 302
    world.anna.refresh_from_db()
    assert (world.anna.label, world.anna.timezone) == ("Anna A.", "Asia/Tokyo")
    answer = browser.post("/account/", fields | {"timezone": "Mars", "is_staff": "on"})
    assert "Mars" in answer.content.decode()
    world.anna.refresh_from_db()
    assert (world.anna.timezone, world.anna.is_staff) == ("Asia/Tokyo", False)
