"""Passwords, tokens, browser sessions, and a limit on guesses."""

from datetime import timedelta

import pytest
from django.test import Client

from server.care.login import MOST_BY_NAME_AND_NETWORK, WINDOW
from server.care.models import LoginFailure, PersonToken
from server.common.tokens import digest
from server.devices.models import DeviceToken
from tests.server.conftest import PASSWORD, Api, golden

TOKEN = "/api/auth/token/"


def log_in(name="anna", password=PASSWORD, **extra):
    return Client(**extra).post(
        TOKEN, {"username": name, "password": password}, content_type="application/json"
    )


def test_a_password_buys_a_token_and_the_token_opens_the_api(world):
    answer = log_in()
    assert (answer.status_code, answer.json()["user"]) == (201, "anna")
    token = answer.json()["token"]
    assert Api(token).get("/api/people/").status_code == 200
    assert Api(token)("DELETE", TOKEN).status_code == 204
    assert Api(token).get("/api/people/").status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "Token", "bearer"])
def test_a_token_comes_under_either_name(world, scheme):
    client = Client(headers={"Authorization": f"{scheme} {world.tokens['anna']}"})
    assert client.get("/api/people/").status_code == 200


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer x y", "Token \xff\xfe", "Basic YTpi", "Bearer bld_x", "x"],
)
def test_a_header_that_is_no_token_opens_nothing(world, header):
    assert Client(headers={"Authorization": header}).get("/api/people/").status_code == 401


def test_no_token_is_kept_in_the_clear(world):
    for model in (PersonToken, DeviceToken):
        for kept in model.objects.all():
            assert len(kept.digest) == 64
            text = " ".join(str(getattr(kept, field.name)) for field in model._meta.fields)
            assert not any(token in text for token in world.tokens.values())
    assert PersonToken.objects.filter(digest=digest(world.tokens["anna"])).exists()


def test_two_tokens_of_a_device_live_at_once_and_a_third_ends_the_first(world):
    first = DeviceToken.issue(world.other_device)
    second = DeviceToken.issue(world.other_device)
    alive = [token for token in (world.tokens["other device"], first, second) if works(token)]
    assert alive == [first, second]


def works(token):
    return Api(token)("POST", "/api/session/start/", golden("started")).status_code == 201


def test_the_last_use_of_a_token_is_noted_at_most_once_a_minute(world, django_assert_num_queries):
    token = PersonToken.find(world.tokens["anna"])
    token.touch()
    with django_assert_num_queries(0):
        token.touch()
    token.last_used_at -= timedelta(minutes=2)
    with django_assert_num_queries(1):
        token.touch()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "anna"},
        {"username": "anna\x00", "password": PASSWORD},
        {"username": ["anna"], "password": PASSWORD},
        {"username": "a" * 200, "password": PASSWORD},
        [],
        "anna",
    ],
)
def test_an_odd_login_is_refused(world, body):
    answer = Client().post(TOKEN, body, content_type="application/json")
    assert answer.status_code in (400, 401)


def test_wrong_names_and_wrong_passwords_get_the_same_answer(world):
    wrong, unknown = log_in(password="wrong"), log_in(name="nobody")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.content == unknown.content


def test_after_too_many_wrong_guesses_even_the_right_one_waits(world):
    for _ in range(MOST_BY_NAME_AND_NETWORK):
        assert log_in(password="wrong").status_code == 401
    answer = log_in()
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= WINDOW.total_seconds()
    browser = Client()
    browser.post("/admin/login/", {"username": "anna", "password": PASSWORD})
    assert "_auth_user_id" not in browser.session  # at every door
    assert log_in(name="carl").status_code == 201
    assert log_in(REMOTE_ADDR="192.0.2.7").status_code == 201
    LoginFailure.objects.update(at=LoginFailure.objects.first().at - WINDOW)
    assert log_in().status_code == 201


def test_a_right_guess_counts_for_nothing(world):
    for _ in range(MOST_BY_NAME_AND_NETWORK + 1):
        assert log_in().status_code == 201


def test_nobody_chooses_their_own_address(world, settings):
    settings.TRUSTED_PROXIES = 1
    for number in range(MOST_BY_NAME_AND_NETWORK):
        forwarded = f"10.0.0.{number}, 192.0.2.7"  # only the last is the proxy's own word
        log_in(password="wrong", headers={"X-Forwarded-For": forwarded})
    assert log_in(headers={"X-Forwarded-For": "10.9.9.9, 192.0.2.7"}).status_code == 429
    assert log_in(headers={"X-Forwarded-For": "192.0.2.8"}).status_code == 201


def test_what_was_typed_as_a_name_is_not_kept(world):
    log_in(name="my secret password")
    assert "my secret password" not in str(list(LoginFailure.objects.values_list()))


def test_old_failures_are_forgotten(world):
    log_in(password="wrong")
    LoginFailure.objects.update(at=LoginFailure.objects.first().at - 3 * WINDOW)
    log_in(name="carl", password="wrong")
    assert LoginFailure.objects.count() == 3


# Browsers


@pytest.fixture
def browser(world):
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.anna)
    return client


def test_a_browsers_session_reads(browser):
    assert browser.get("/api/session/history/").status_code == 200


def test_a_browsers_session_writes_only_with_its_csrf_token(browser):
    answer = browser.post("/api/session/start/", {}, content_type="application/json")
    assert answer.status_code == 403
    browser.get("/join/")  # any page with a form sets the cookie
    token = browser.cookies["blinklog_csrf"].value
    answer = browser.post(
        "/api/session/start/", {}, content_type="application/json", headers={"X-CSRFToken": token}
    )
    assert answer.status_code == 201


def test_another_program_on_the_same_host_logs_nobody_out(browser):
    for name in ("sessionid", "csrftoken", "django_language", "messages"):
        browser.cookies[name] = "another program's"
    assert browser.get("/api/session/history/").status_code == 200
    browser.get("/join/")
    token = browser.cookies["blinklog_csrf"].value
    form = {"language": "de", "csrfmiddlewaretoken": token}
    browser.post("/language/", form)
    for path in ("/", "/join/", "/account/"):
        browser.get(path)
    theirs = {name: each.value for name, each in browser.cookies.items() if "blinklog" not in name}
    assert theirs == dict.fromkeys(theirs, "another program's")
    assert browser.cookies["blinklog_language"].value == "de"


def test_a_token_that_is_dead_is_not_saved_by_a_session(browser):
    answer = browser.get("/api/people/", headers={"Authorization": "Bearer blp_dead"})
    assert answer.status_code == 401
