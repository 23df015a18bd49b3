"""What the site as a whole promises: headers, health, errors, admin, settings."""

import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from django.contrib import admin
from django.core.management import call_command
from django.db import OperationalError, connection, connections
from django.test import Client, RequestFactory
from django.urls import reverse

from server.care.models import AccessLog, CareLink, Person
from server.operations import health
from server.session_data import accept
from server.session_data.accept import accept_session
from server.session_data.dead_letters import keep_dead_letter
from tests.server.conftest import Api, golden


def test_every_answer_allows_a_browser_nothing_foreign_and_nothing_inline(world):
    for path in ("/healthz", "/api/people/", "/api/docs/", "/admin/login/", "/no/such/page"):
        answer = Client().get(path)
        policy = answer["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer["X-Frame-Options"] == "DENY"
        assert answer["X-Content-Type-Options"] == "nosniff"


def test_the_api_page_needs_nobody_else_and_nothing_inline(world):
    page = Client().get("/api/docs/").content.decode()
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(addresses) >= 4
    assert all(address.startswith("/") for address in addresses)
    assert "<style" not in page
    assert not re.search(r"<script(?![^>]*\ssrc=)", page)
    for address in addresses:
        answer = Client().get(address.replace("&amp;", "&"))
        assert answer.status_code == 200, address
        answer.close()  # a file that is streamed


def test_the_server_is_ready_when_its_database_is(db):
    assert Client().get("/healthz").json() == {"status": "ok"}
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


def test_without_its_database_the_server_lives_and_is_not_ready(db, monkeypatch):
    monkeypatch.setattr(health, "connection", SimpleNamespace(cursor=away))
    assert Client().get("/healthz").status_code == 200
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["database"]) == (503, "away")


def test_with_a_migration_missing_the_server_is_not_ready(db, monkeypatch):
    monkeypatch.setattr(health._Seen, "complete", False)
    monkeypatch.setattr(health.MigrationExecutor, "migration_plan", lambda *_: [object()])
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["missing_migrations"]) == (503, 1)


def away(*_, **__):
    raise OperationalError("connection refused: the password is hunter2")


def test_while_the_database_is_away_a_device_is_told_to_come_back(api, monkeypatch):
    device = api("device")
    monkeypatch.setattr(accept.transaction, "atomic", away)
    answer = device("POST", "/api/session/start/", golden("started"))
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert answer.json() == {
        "type": "server_error",
        "code": "database_unavailable",
        "detail": "the database is unavailable",
    }


# The admin site


@pytest.fixture
def administrator(world):
    client = Client()
    client.force_login(Person.objects.create_superuser("root", timezone="UTC"))
    return client


@pytest.mark.parametrize("model", sorted(admin.site._registry, key=str), ids=str)
def test_every_page_of_the_admin_site_opens(administrator, world, model):
    accept_session(world.device, golden("final"))
    keep_dead_letter("mqtt", str(world.device.pk), world.device, "nonsense", b"{")
    AccessLog.objects.create(person=world.anna, viewer=world.carl, viewer_name="carl", what="x")
    base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    assert administrator.get(reverse(f"{base}_changelist")).status_code == 200
    assert administrator.get(reverse(f"{base}_changelist"), {"q": "anna"}).status_code == 200
    added = administrator.get(reverse(f"{base}_add"))
    assert added.status_code in (200, 403)
    if (first := model._default_manager.first()) is not None:
        page = administrator.get(reverse(f"{base}_change", args=[first.pk]))
        assert page.status_code == 200


def test_an_administrators_look_at_a_session_is_noted_where_its_person_sees_it(
    administrator, world
):
    document = golden("final")
    accept_session(world.device, document)
    page = administrator.get(
        reverse("admin:session_data_sessiondata_change", args=[document["session_id"]])
    )
    assert page.status_code == 200
    assert not re.search(r"0\.291|ear_mean|perclos", page.content.decode())  # rank opens nothing
    (look,) = Api(world.tokens["anna"]).get("/api/access-log/").json()["results"]
    assert (look["viewer"], look["what"]) == ("root", "session in the admin site")


def test_the_list_of_sessions_shows_no_numbers_and_reads_no_documents(administrator, world):
    accept_session(world.device, golden("final"))
    page = administrator.get(reverse("admin:session_data_sessiondata_changelist"))
    assert "0.291" not in page.content.decode()


def test_a_link_in_the_admin_site_is_ended_and_not_turned_to_somebody_else(administrator, world):
    link = CareLink.objects.get(caregiver=world.carl)
    page = administrator.get(reverse("admin:care_carelink_change", args=[link.pk]))
    assert 'name="caregiver"' not in page.content.decode()
    assert 'name="may_see_history"' not in page.content.decode()
    assert administrator.get(reverse("admin:care_carelink_add")).status_code == 403


def test_no_password_is_set_in_the_admin_site_and_no_second_factor_shown(administrator, world):
    change = reverse("admin:auth_user_password_change", args=[world.anna.pk])
    assert administrator.get(change).status_code == 403
    assert administrator.post(change, {"password1": "x", "password2": "x"}).status_code == 403
    own = administrator.get("/admin/password_change/")
    assert own["Location"] == "/account/password/"  # one place, with its limit and its log
    assert "otp" not in " ".join(model._meta.app_label for model in admin.site._registry)


# Settings


def test_models_and_migrations_agree(db):
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def settings_of(code, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("BLINKLOG", "DATABASE"))}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=clean | {"DJANGO_SETTINGS_MODULE": "server.config.settings"} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_server_behind_https_passes_djangos_own_deployment_check():
    done = settings_of(
        "from django.core.management import execute_from_command_line as run;"
        "run(['manage', 'check', '--deploy', '--fail-level', 'WARNING'])",
        BLINKLOG_HTTPS="1",
        BLINKLOG_SECRET_KEY="".join(chr(33 + n) for n in range(80)),
    )
    assert done.returncode == 0, done.stderr


def test_debug_is_off_unless_it_is_asked_for():
    code = "from django.conf import settings; print(settings.DEBUG)"
    assert settings_of(code).stdout == "False\n"
    assert settings_of(code, BLINKLOG_DEBUG="1").stdout == "True\n"


# What a browser demands of a cookie whose name begins with `__Host-`.
COOKIES = """
import django; django.setup()
from django.conf import settings
for kind in ("SESSION", "CSRF", "LANGUAGE"):
    name, secure, path, domain = (
        getattr(settings, f"{kind}_COOKIE_{part}") for part in ("NAME", "SECURE", "PATH", "DOMAIN")
    )
    print(name, secure, path, domain)
"""


@pytest.mark.parametrize(("https", "prefix"), [("0", ""), ("1", "__Host-")])
def test_the_cookies_have_names_of_their_own(https, prefix):
    done = settings_of(COOKIES, BLINKLOG_HTTPS=https)
    assert done.stdout.splitlines() == [
        f"{prefix}blinklog_{name} {https == '1'} / None" for name in ("session", "csrf", "language")
    ], done.stderr


def test_a_forged_protocol_is_believed_of_a_proxy_only(settings):
    request = RequestFactory().get("/", headers={"X-Forwarded-Proto": "https"})
    assert not request.is_secure()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite")
def test_a_commit_on_sqlite_survives_a_power_cut(transactional_db):
    with connections["default"].cursor() as cursor:
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone() == (2,)  # FULL
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone() == ("wal",)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL")
def test_no_statement_on_postgresql_waits_for_ever(transactional_db):
    with connections["default"].cursor() as cursor:
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            cursor.execute(f"SHOW {name}")
            assert cursor.fetchone() != ("0",)
