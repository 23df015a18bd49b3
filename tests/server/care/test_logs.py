"""The audit log and the access log are bounded, and nothing in them can be buried."""

import re
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

import server
from server.care import access, attempts, audit
from server.care.models import AccessLog, AuditEntry, AuditEvent, Person
from server.care.words import LOOKS
from server.devices.models import Command, CommandName
from server.retention.tidying import tidy
from server.session_data.accept import accept_session
from tests.server.conftest import PASSWORD, Api, golden


@pytest.fixture(autouse=True)
def no_limit(monkeypatch):
    """These attackers come from everywhere."""
    monkeypatch.setattr("server.care.attempts.too_many", lambda limits: False)


def log_of(world, name="anna"):
    return Api(world.tokens[name]).get("/api/audit-log/").json()


def page_of(person, page="/sharing/log/"):
    browser = Client()
    browser.force_login(person)
    return browser.get(page).content.decode()


def guess(addresses, name="anna"):
    stranger = Client()
    for address in addresses:
        body = {"username": name, "password": "wrong"}
        stranger.post("/login/", body, REMOTE_ADDR=address)


# Burying


def test_exports_bury_nothing(api, world):
    audit.note(world.carl, AuditEvent.LINK_CHANGED, world.anna, "carl: history")
    carl = api("carl")
    for number in range(50):
        day = timezone.now().date() - timedelta(days=number)
        query = {"user": "anna", "from": day.isoformat(), "to": day.isoformat()}
        assert carl.get("/api/session/export/", **query).status_code == 200
    told = log_of(world)["results"]
    assert "link_changed" in [each["event"] for each in told]
    exports = [each for each in told if each["event"] == "exported"]
    assert len(exports) == audit.MOST_A_DAY + 1
    assert sum(each["count"] for each in exports) == 50
    assert exports[0]["detail"] == audit.MORE
    (look,) = api("anna").get("/api/access-log/").json()["results"]
    assert (look["what"], look["views"]) == ("export", 50)


def test_the_same_again_is_counted(world):
    for _ in range(3):
        audit.note(world.anna, AuditEvent.LOGIN, world.anna)
    audit.note(world.carl, AuditEvent.LOGIN, world.carl)
    audit.note(world.carl, AuditEvent.LOGIN, world.anna)
    (anna, carl) = log_of(world)["results"][::-1]
    assert (anna["count"], carl["count"]) == (3, 1)
    assert anna["last_at"] > anna["at"]
    assert "4 times" in page_of(world.anna)


def test_after_an_hour_it_is_an_entry_of_its_own(world):
    audit.note(world.anna, AuditEvent.LOGIN, world.anna)
    AuditEntry.objects.update(at=timezone.now() - timedelta(minutes=61))
    audit.note(world.anna, AuditEvent.LOGIN, world.anna)
    assert [each["count"] for each in log_of(world)["results"]] == [1, 1]


def test_what_was_done_by_somebody_who_is_gone_is_not_counted_to_a_stranger(world):
    audit.note(world.otto, AuditEvent.EXPORTED, world.anna)
    world.otto.delete()
    audit.note(None, AuditEvent.EXPORTED, world.anna)
    assert {each["actor"] for each in log_of(world)["results"]} == {"otto", ""}


def test_changes_of_access_keep_their_details(world):
    for number in range(100):
        audit.note(world.anna, AuditEvent.LINK_CHANGED, world.anna, f"carl: {number}")
    assert AuditEntry.objects.filter(event="link_changed").count() == 100


def test_changes_of_access_are_bounded_too(world, monkeypatch):
    monkeypatch.setattr(audit, "MOST_OF_ACCESS", 5)
    for number in range(9):
        audit.note(world.anna, AuditEvent.LINK_CHANGED, world.anna, f"carl: {number}")
    assert sum(AuditEntry.objects.values_list("count", flat=True)) == 9
    assert AuditEntry.objects.count() == 5 + 1


def test_details_are_left_out_until_the_next_day(world):
    def export(detail):
        audit.note(world.carl, AuditEvent.EXPORTED, world.anna, detail)

    for number in range(audit.MOST_A_DAY + 5):
        export(f"number {number}")
    AuditEntry.objects.update(at=timezone.now() - timedelta(hours=23))
    export("of the same day")
    assert AuditEntry.objects.count() == audit.MOST_A_DAY + 1
    AuditEntry.objects.update(at=timezone.now() - timedelta(hours=25))
    export("of the next day")
    assert AuditEntry.objects.filter(detail="of the next day").exists()


def test_no_detail_is_longer_than_its_bound(world):
    audit.note(world.anna, AuditEvent.EXPORTED, world.anna, "x" * 100_000)
    assert len(AuditEntry.objects.get().detail) == AuditEntry.LONGEST_DETAIL


def test_what_happened_last_is_first(world):
    audit.note(world.anna, AuditEvent.LOGIN, world.anna)
    audit.note(world.anna, AuditEvent.LOGOUT, world.anna)
    audit.note(world.anna, AuditEvent.LOGIN, world.anna)
    assert [each["event"] for each in log_of(world)["results"]] == ["login", "logout"]


# Strangers


def test_strangers_failed_log_ins_are_counted_by_network(world):
    guess(f"192.0.2.{number}" for number in range(30))
    guess(f"2001:db8:1:2::{number:x}" for number in range(10))  # more are refused unchecked
    told = log_of(world)["results"]
    assert {(each["detail"], each["count"]) for each in told} == {
        ("from 192.0.2.0/24", 30),
        ("from 2001:db8:1:2::/64", 10),
    }
    assert "from 192.0.2.0/24" in page_of(world.anna)


@pytest.mark.parametrize("name", ["anna", "nobody here"])
def test_strangers_from_everywhere_neither_fill_nor_bury_the_log(world, name):
    audit.note(world.carl, AuditEvent.LINK_CHANGED, world.anna, "carl: history")
    guess((f"2001:db8:{number:x}::1" for number in range(50)), name)
    failed = AuditEntry.objects.filter(event="login_failed")
    assert failed.count() == audit.MOST_A_DAY + 1
    assert sum(failed.values_list("count", flat=True)) == 50
    events = [each["event"] for each in log_of(world)["results"]]
    assert "link_changed" in events
    assert page_of(world.anna).count("Login failed") <= audit.MOST_A_DAY + 1


def test_one_person_under_attack_hides_no_attack_on_another(world):
    guess((f"2001:db8:{number:x}::1" for number in range(30)), "carl")
    guess(["192.0.2.1"], "anna")
    assert [each["detail"] for each in log_of(world)["results"]] == ["from 192.0.2.0/24"]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("", "an unknown network"),
        ("not an address", "an unknown network"),
    ],
)
def test_a_network(rf, address, network):
    assert attempts.logged_network(rf.get("/", REMOTE_ADDR=address)) == network


# The access log


def test_a_caregiver_who_opens_every_session_again_and_again_buries_nothing(world, monkeypatch):
    monkeypatch.setattr(access, "MOST_SESSIONS_A_DAY", 5)
    access.note_look(world.carl, world.anna, "devices")
    carl = Api(world.tokens["carl"])
    for _ in range(12):
        document = golden("final")
        accept_session(world.device, document)
        carl.get(f"/api/session/{document['session_id']}/")
    AccessLog.objects.update(last_at=timezone.now() - 2 * access.ONE_LOOK)
    carl.get(f"/api/session/{document['session_id']}/")
    looks = Api(world.tokens["anna"]).get("/api/access-log/").json()["results"]
    sessions = [each for each in looks if each["what"] == "session"]
    assert len(sessions) == 5 + 1
    assert sum(each["views"] for each in sessions) == 13
    assert [each["views"] for each in sessions if each["session_id"] is None] == [8]
    assert "devices" in {each["what"] for each in looks}
    assert "8 times" in page_of(world.anna, "/sharing/looks/")


def look(viewer, world, session_id=None):
    access.note_look(viewer, world.anna, "session", session_id)


def test_the_same_look_is_one_entry_within_ten_minutes_and_no_longer(world):
    session_id = uuid4()
    for _ in range(3):
        look(world.carl, world, session_id)
    assert AccessLog.objects.get().views == 3
    AccessLog.objects.update(last_at=timezone.now() - access.ONE_LOOK)
    look(world.carl, world, session_id)
    assert set(AccessLog.objects.values_list("views", flat=True)) == {1, 3}


def test_one_viewers_looks_take_no_details_from_anothers_or_from_the_next_days(world, monkeypatch):
    monkeypatch.setattr(access, "MOST_SESSIONS_A_DAY", 2)
    for _ in range(4):
        look(world.carl, world, uuid4())
    assert AccessLog.objects.filter(session_id=None).get().views == 2
    others, next_days = uuid4(), uuid4()
    look(world.ella, world, others)
    yesterday = timezone.now() - timedelta(hours=25)
    AccessLog.objects.filter(viewer=world.carl).update(first_at=yesterday, last_at=yesterday)
    look(world.carl, world, next_days)
    assert AccessLog.objects.filter(session_id__in=[others, next_days]).count() == 2


def test_looks_by_a_link_and_at_several_people_are_counted_too(world):
    for _ in range(3):
        access.note_link_look(world.anna, "sheet", "Dr. Berg")
        access.note_looks(world.carl, [world.anna, world.otto, world.carl], "live")
    assert list(AccessLog.objects.values_list("views", flat=True)) == [3, 3, 3]


# Age, and upgrades


def test_old_entries_go_and_newer_ones_stay(world, settings):
    audit.note(world.anna, AuditEvent.LOGIN, world.anna)
    access.note_look(world.carl, world.anna, "history")
    now = timezone.now()
    settings.LOG_DAYS = 0
    tidy(now + timedelta(days=9999))
    assert (AuditEntry.objects.count(), AccessLog.objects.count()) == (1, 1)
    settings.LOG_DAYS = 30
    assert tidy(now + timedelta(days=29)).others["log entries"] == 0
    assert tidy(now + timedelta(days=31)).others["log entries"] == 2
    assert (AuditEntry.objects.count(), AccessLog.objects.count()) == (0, 0)


def test_an_entry_is_as_old_as_its_last_repetition(world, settings):
    settings.LOG_DAYS = 30
    audit.note(world.anna, AuditEvent.LOGIN, world.anna)
    access.note_look(world.carl, world.anna, "history")
    begun = timezone.now() - timedelta(days=31)
    AuditEntry.objects.update(at=begun)
    AccessLog.objects.update(first_at=begun)
    assert tidy().others["log entries"] == 0


def test_old_commands_go_and_what_says_nothing_after_a_day_goes_then(world, settings):
    now = timezone.now()

    def commanded(name, **more):
        Command.objects.create(
            device=world.device, person=world.anna, asked_by=world.carl, command=name,
            session_id=uuid4(), asked_at=now, expires_at=now, **more,
        )  # fmt: skip

    for name in CommandName:
        commanded(name)
    commanded("start", problem="the broker can't be reached")
    assert tidy(now + timedelta(hours=23)).others["commands"] == 0
    assert tidy(now + timedelta(hours=25)).others["commands"] == 2
    assert set(Command.objects.values_list("command", flat=True)) == {"start", "stop", "check"}
    settings.LOG_DAYS = 0
    assert tidy(now + timedelta(days=9999)).others["commands"] == 0
    settings.LOG_DAYS = 30
    assert tidy(now + timedelta(days=31)).others["commands"] == 3


def test_whatever_is_looked_at_has_words():
    """Otherwise the log shows a name of the code, and in English alone."""
    code = "".join(path.read_text() for path in Path(server.__file__).parent.rglob("*.py"))
    calls = re.findall(r"note_(?:look|looks|often)\(([^()]*(?:\([^()]*\)[^()]*)*)\)", code)
    names = {name for call in calls for name in re.findall(r'"([a-z ]+)"', call)}
    assert {"history", "live", "aim", "check", "session"} <= names
    assert names | {f"{each} command" for each in CommandName} <= LOOKS.keys()


def test_a_first_cleanup_is_spread_over_several_runs(world, settings, monkeypatch):
    monkeypatch.setattr("server.retention.tidying.MOST_ENTRIES", 2)
    for name in ("a", "b", "c"):
        audit.note(world.anna, AuditEvent.INVITED, world.anna, name)
    later = timezone.now() + timedelta(days=settings.LOG_DAYS + 1)
    first, second = tidy(later), tidy(later)
    assert (first.others["log entries"], first.more) == (2, True)
    assert (second.others["log entries"], second.more) == (1, False)


def test_the_pages_of_the_logs_are_pages(world):
    for _ in range(120):
        AuditEntry.objects.create(event="invited", actor=world.anna, subject=world.anna)
        AccessLog.objects.create(person=world.anna, viewer=world.carl, viewer_name="carl", what="x")
    for page in ("/sharing/log/", "/sharing/looks/"):
        assert page_of(world.anna, page).count('scope="row"') == 50
        assert page_of(world.anna, page + "?page=3").count('scope="row"') in (20, 21)


def test_the_api_tells_no_more_of_a_log_at_once_than_a_page(world):
    AuditEntry.objects.bulk_create(
        AuditEntry(event="invited", actor=world.anna, subject=world.anna) for _ in range(201)
    )
    told = log_of(world)
    assert (len(told["results"]), told["has_more"]) == (200, True)


def test_second_factors_that_fail_name_the_network_too(world):
    from server.care import second_factor
    from tests.server.care.test_accounts import code_of

    second_factor.begin(world.anna)
    assert second_factor.confirm(world.anna, code_of(world.anna))
    browser = Client(REMOTE_ADDR="192.0.2.9")
    browser.post("/login/", {"username": "anna", "password": PASSWORD})
    browser.post("/login/code/", {"code": "000000"})
    entry = AuditEntry.objects.get(event="login_failed")
    assert entry.detail == "second factor, from 192.0.2.0/24"
    assert Person.objects.filter(pk=entry.subject_id, username="anna").exists()
