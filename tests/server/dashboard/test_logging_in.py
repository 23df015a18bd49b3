"""Logging in and out on the pages."""

from django.test import Client

from server.care.login import MOST_BY_NAME_AND_NETWORK
from tests.server.conftest import PASSWORD
from tests.server.dashboard.browsing import words_of


def test_one_logs_in_and_out(world):
    client = Client()
    response = client.post(
        "/login/?next=/people/anna/",
        {"username": "carl", "password": PASSWORD, "next": "/people/anna/"},
    )
    assert (response.status_code, response.url) == (302, "/people/anna/")
    assert client.get("/").status_code == 200
    assert client.post("/logout/").url == "/login/"
    assert client.get("/").status_code == 302


def test_logging_in_leads_to_no_other_site(world):
    form = {"username": "carl", "password": PASSWORD, "next": "https://elsewhere.example/"}
    assert Client().post("/login/", form).url == "/"


def test_a_wrong_password_is_told_apart_from_too_many(world):
    client, form = Client(), {"username": "carl", "password": "wrong"}
    for _ in range(MOST_BY_NAME_AND_NETWORK - 1):
        response = client.post("/login/", form)
        assert (response.status_code, "Wrong user name or password" in words_of(response)) == (
            200,
            True,
        )
    client.post("/login/", form)
    response = client.post("/login/", form | {"password": PASSWORD})
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) > 0
    assert "Too many failed attempts" in words_of(response)


def test_a_name_that_was_typed_comes_back_escaped(world):
    response = Client().post("/login/", {"username": '"><script>', "password": "x"})
    assert b'"><script>' not in response.content
