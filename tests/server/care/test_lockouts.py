"""Wrong passwords and codes are limited, and nobody can use the limits against somebody else."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.core import signing
from django.db import connection
from django.http import HttpResponse
from django.test import Client

from server.care import attempts, known_browsers, login, second_factor, sharing, wrong_codes
from server.care.login import MOST_BY_KNOWN_BROWSER, MOST_BY_NAME_AND_NETWORK
from server.care.models import LoginFailure
from server.care.second_factor import MOST_BY_PERSON, begin, confirm
from tests.server.care.test_accounts import code_of
from tests.server.conftest import PASSWORD, make_world

TOKEN = "/api/auth/token/"


def log_in(client, password=PASSWORD, name="anna"):
    return client.post("/login/", {"username": name, "password": password})


def lock(name="anna"):
    """Strangers of as many networks as it takes."""
    for number in range(login.MOST_BY_NAME):
        log_in(Client(REMOTE_ADDR=f"192.0.2.{number // 5}"), "wrong", name)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(login, "MOST_BY_NAME", 12)


def is_in(client):
    return "_auth_user_id" in client.session


def test_a_browser_that_has_logged_in_before_is_not_locked_out_by_strangers(world):
    browser = Client()
    log_in(browser)
    browser.post("/logout/")
    lock()
    log_in(Client())
    assert log_in(Client()).status_code == 429  # a browser that nobody knows
    assert log_in(browser).status_code == 302
    assert is_in(browser)


def test_a_browser_is_known_in_any_case_of_the_name(world):
    browser = Client()
    log_in(browser)
    browser.post("/logout/")
    lock()
    log_in(Client())
    assert log_in(Client()).status_code == 429
    assert log_in(browser, name="ANNA").status_code == 302


def test_a_known_browser_guesses_no_more_often_than_others(world):
    browser = Client()
    log_in(browser)
    browser.post("/logout/")
    for _ in range(MOST_BY_KNOWN_BROWSER):
        assert not is_in(browser)
        log_in(browser, "wrong")
    assert log_in(browser).status_code == 429


def test_a_browser_is_known_for_the_person_who_logged_in_alone(world):
    browser = Client()
    log_in(browser, name="carl")
    (cookie,) = [each for name, each in browser.cookies.items() if name.startswith("known_")]
    assert cookie["httponly"]
    assert "carl" not in cookie.key + cookie.value
    browser.post("/logout/")
    lock("anna")
    assert log_in(browser).status_code == 429
    forged = Client()
    log_in(forged, name="otto")
    (name,) = [each for each in forged.cookies if each.startswith("known_")]
    forged.cookies[name] = cookie.value  # another person's
    forged.post("/logout/")
    lock("otto")
    assert log_in(forged, name="otto").status_code == 429


def test_a_browser_that_guesses_locks_no_other_known_one_out(world):
    lost, own = Client(), Client()
    for browser in (lost, own):
        log_in(browser)
        browser.post("/logout/")
    for _ in range(MOST_BY_KNOWN_BROWSER):
        log_in(lost, "wrong")
    assert log_in(lost).status_code == 429
    assert log_in(own).status_code == 302


@pytest.mark.parametrize(("days", "is_known"), [(364, True), (366, False)])
def test_a_browser_is_known_for_a_year(rf, monkeypatch, days, is_known):
    response = HttpResponse()
    known_browsers.remember(response, "anna")
    request = rf.get("/")
    request.COOKIES = {name: cookie.value for name, cookie in response.cookies.items()}
    then_s = time.time() + days * 24 * 60 * 60
    monkeypatch.setattr(signing.time, "time", lambda: then_s)
    assert (known_browsers.known(request, "anna") is not None) == is_known


def test_wrong_log_ins_keep_nobody_from_confirming_with_the_own_password(world):
    browser = Client()
    browser.force_login(world.anna)
    lock()
    new = {
        "old": PASSWORD,
        "password": "another long pass phrase",
        "again": "another long pass phrase",
    }
    assert browser.post("/account/password/", new).status_code == 302


def test_who_has_the_password_alone_locks_no_known_browser_out_of_the_second_factor(world):
    browser = Client()
    log_in(browser)
    browser.post("/logout/")
    begin(world.anna)
    assert confirm(world.anna, code_of(world.anna))
    thief = Client(REMOTE_ADDR="192.0.2.1")
    log_in(thief)
    for _ in range(MOST_BY_PERSON + 1):
        answer = thief.post("/login/code/", {"code": "000000"})
    assert answer.status_code == 429
    log_in(browser)
    browser.post("/login/code/", {"code": code_of(world.anna, steps=1)})
    assert is_in(browser)


def test_a_known_browser_guesses_no_more_second_factors_than_others(world):
    begin(world.anna)
    assert confirm(world.anna, code_of(world.anna))
    browser = Client()
    known_browsers.remember(response := HttpResponse(), "anna")
    browser.cookies = response.cookies
    log_in(browser)
    statuses = [
        browser.post("/login/code/", {"code": "000000"}).status_code
        for _ in range(MOST_BY_PERSON + 1)
    ]
    assert statuses[-1] == 429
    browser.post("/login/code/", {"code": code_of(world.anna, steps=1)})
    assert not is_in(browser)


def test_who_has_the_passwords_of_many_guesses_no_second_factor_of_each(rf, world, monkeypatch):
    monkeypatch.setattr(second_factor, "MOST_BY_NETWORK", 2)
    here, elsewhere = (rf.get("/", REMOTE_ADDR=f"192.0.2.{number}") for number in (1, 2))
    for person in (world.anna, world.otto):
        assert not second_factor.check(here, person, "000000")
    assert second_factor.too_many(here, world.carl)
    assert not second_factor.too_many(elsewhere, world.carl)


def test_one_network_tries_no_password_with_the_names_of_all(world, monkeypatch):
    monkeypatch.setattr(login, "MOST_BY_NETWORK", 3)
    for number in range(3):
        log_in(Client(), "wrong", f"name{number}")
    assert log_in(Client()).status_code == 429
    assert log_in(Client(REMOTE_ADDR="192.0.2.1")).status_code == 302


def test_links_that_a_page_opens_as_images_count_for_nothing(world):
    _, code = sharing.invite(world.anna, ["live"])
    visitor = Client()
    for number in range(wrong_codes.MOST_BY_NETWORK + 5):
        assert visitor.get(f"/join/WRONG{number}/").status_code == 200
    assert LoginFailure.objects.count() == 0
    assert visitor.post("/join/", {"code": code})["Location"] == "/join/accept/"


def test_a_right_code_counts_for_nothing(world):
    _, code = sharing.invite(world.anna, ["live"])
    assert Client().post("/join/", {"code": code})["Location"] == "/join/accept/"
    assert LoginFailure.objects.count() == 0


def test_a_fault_while_a_code_is_checked_counts_for_nothing(rf, db):
    def fail():
        with wrong_codes.attempt(rf.get("/"), "AAAA2222"):
            assert LoginFailure.objects.exists()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert LoginFailure.objects.count() == 0


def test_an_address_in_ipv6_counts_with_its_network(rf):
    def network(address):
        return attempts.network_of(rf.get("/", REMOTE_ADDR=address))

    assert network("2003:a:b:c::1") == network("2003:a:b:c:ffff:ffff:ffff:ffff")
    assert network("2003:a:b:c::1") != network("2003:a:b:d::1")
    assert network("::ffff:192.0.2.1") == network("192.0.2.1")
    assert network("192.0.2.1") != network("192.0.2.2")
    assert network("") != network("192.0.2.2")


def test_a_name_has_one_limit_however_it_is_written(world):
    for number in range(MOST_BY_NAME_AND_NETWORK):
        log_in(Client(), "wrong", ("anna", "ANNA", "Anna")[number % 3])
    assert log_in(Client()).status_code == 429


# At the same moment


def test_a_second_factor_is_counted_before_it_is_checked(world, monkeypatch):
    counted = []
    monkeypatch.setattr(
        second_factor, "_matches", lambda *_: counted.append(LoginFailure.objects.count())
    )
    assert not second_factor.check(None, world.anna, "000000")
    assert counted == [len(second_factor._limits(None, world.anna))]


def test_the_own_password_is_counted_before_it_is_checked(world, monkeypatch):
    counted = []
    browser = Client()
    browser.force_login(world.anna)
    monkeypatch.setattr(
        type(world.anna), "check_password", lambda *_: counted.append(LoginFailure.objects.count())
    )
    browser.post("/account/password/", {"old": "x", "password": "y" * 20, "again": "y" * 20})
    assert counted == [1]


THREADS = 24


def at_once(job):
    together = Barrier(THREADS)

    def run(number):
        try:
            together.wait(30)
            return job(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


@pytest.mark.django_db(transaction=True)
def test_no_more_passwords_are_checked_at_once_than_may_be_wrong(transactional_db, monkeypatch):
    world = make_world()
    checked = []
    monkeypatch.setattr(
        type(world.anna), "check_password", lambda *_: checked.append(1) or PASSWORD == "x"
    )
    statuses = at_once(
        lambda _: (
            Client()
            .post(TOKEN, {"username": "anna", "password": "x"}, content_type="application/json")
            .status_code
        )
    )
    assert 0 < len(checked) <= MOST_BY_NAME_AND_NETWORK
    assert sorted(statuses) == [401] * len(checked) + [429] * (THREADS - len(checked))


@pytest.mark.django_db(transaction=True)
def test_no_more_codes_are_checked_at_once_than_may_be_wrong(transactional_db, monkeypatch):
    make_world()
    monkeypatch.setattr(wrong_codes, "MOST_BY_NETWORK", 5)
    body = {"agent_version": "1"}
    statuses = at_once(
        lambda number: (
            Client()
            .post(
                "/api/device/claim/",
                body | {"code": f"WRONG{number}"},
                content_type="application/json",
            )
            .status_code
        )
    )
    assert 0 < statuses.count(400) <= 5
    assert set(statuses) == {400, 429}
