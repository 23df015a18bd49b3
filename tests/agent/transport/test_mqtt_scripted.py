"""What MQTT delivery makes of each event: a connection by script in place of a broker."""

import json
import math
import time
from collections import deque
from typing import Any

import pytest

from agent.errors import DeliveryError
from agent.transport import mqtt
from agent.transport.base import SHARED_IDENTITY, Acknowledgement
from agent.transport.mqtt import MqttSettings, MqttTransport
from agent.transport.mqtt_connection import NOBODY_LISTENS, Message, Published
from tests.agent.documents import document
from tests.agent.sync.scripted import Clock
from tests.agent.transport.mqtt_line import DEVICE, TOPIC, Line


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    Line.made = []
    monkeypatch.setattr(mqtt, "Connection", Line)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def device(clock: Clock, presence: Any = None, **changes: Any) -> MqttTransport:
    settings = {"host": "h", "tls": False, "device": DEVICE, "password": "secret", **changes}
    return MqttTransport(MqttSettings(**settings), presence=presence, clock=clock)


@pytest.fixture
def transport(clock: Clock) -> MqttTransport:
    return device(clock, {"agent": "1.0.0"})


def line() -> Line:
    return Line.made[-1]


def deliver(transport: MqttTransport, *documents: dict[str, Any]) -> list[Acknowledgement]:
    return list(transport.deliver(documents, 5.0))


def connected(transport: MqttTransport) -> Line:
    deliver(transport)
    line().waits_s.clear()
    return line()


def failing(transport: MqttTransport, *documents: dict[str, Any]) -> str:
    with pytest.raises(DeliveryError) as caught:
        deliver(transport, *documents)
    return str(caught.value)


# Connections


def test_the_usual_port_is_that_of_mqtt_over_tls() -> None:
    assert MqttSettings("h").port == 8883
    assert MqttSettings("h").tls


def test_a_lasting_connection_listens_and_has_a_last_will(transport: MqttTransport) -> None:
    connected(transport)
    topics = [f"{TOPIC}acks", f"{TOPIC}commands"]
    assert line().topics == ["h", 8883, topics, [f"{TOPIC}settings"]]
    assert line().options["lasting"]
    topic, payload = line().options["will"]
    ((status, online, options),) = line().published
    assert topic == status == f"{TOPIC}status"
    assert json.loads(payload) == {**json.loads(online), "online": False}
    assert json.loads(online)["online"] is True
    assert options == {"retain": True}


def test_a_temporary_connection_only_delivers(clock: Clock) -> None:
    connected(device(clock))
    assert line().topics == ["h", 8883, [f"{TOPIC}acks"], []]
    assert not line().options["lasting"]
    assert line().options["will"] is None
    assert line().published == []


def test_the_broker_knows_a_lasting_connection_again_and_nobody_can_guess_it(clock: Clock) -> None:
    """It hands a session over to whoever connects with its name."""
    names = []
    for password in ("one", "one", "two"):
        connected(device(clock, {}, password=password))
        names.append(line().client_id)
    assert names[0] == names[1] != names[2]
    for name in names:
        assert name.startswith(f"{DEVICE}-")
        assert len(name) == len(DEVICE) + 1 + 16
    assert "one" not in names[0].removeprefix(DEVICE)


def test_temporary_connections_have_names_of_their_own(clock: Clock) -> None:
    for _ in range(2):
        connected(device(clock))
    one, other = (each.client_id for each in Line.made)
    assert one != other
    assert len(one) == len(DEVICE) + 1 + 16


def test_each_connection_is_named_in_its_statuses(clock: Clock) -> None:
    connections = set()
    for _ in range(3):
        connected(transport := device(clock, {}))
        connections.add(json.loads(line().published[0][1])["connection"])
        transport.close()
    assert len(connections) == 3
    assert {len(each) for each in connections} == {16}


def test_a_new_connection_says_its_status_at_once_and_then_every_five_minutes(
    transport: MqttTransport, clock: Clock
) -> None:
    for passed_s, said in ((0, 1), (299.5, 1), (0.5, 2), (299.5, 2), (0.5, 3)):
        clock.now_s += passed_s
        deliver(transport)
        assert len(line().published) == said
    line().ends = "gone"
    failing(transport)
    deliver(transport)
    assert len(Line.made) == 2
    assert len(line().published) == 1


# Documents


def test_eight_documents_are_in_flight_at_most(transport: MqttTransport) -> None:
    assert transport.at_once == 8


def test_each_document_asks_for_its_acknowledgement(transport: MqttTransport) -> None:
    connected(transport)
    failing(transport, document(7), document(7))
    (topic, _, one), (_, _, other) = line().published[1:]
    assert topic == f"{TOPIC}sessions"
    assert one["response_topic"] == f"{TOPIC}acks"
    assert one["correlation"] != other["correlation"]
    assert len(one["correlation"]) == 12


def test_it_waits_for_each_acknowledgement_anew_and_for_none_without_documents(
    transport: MqttTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected(transport)
    now_s = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    answers: list[float] = []

    def answered(until_s: float) -> Message | None:
        """The first acknowledgement after 4 s, then nothing."""
        answers.append(until_s)
        now_s[0] += 4
        if len(answers) == 1:
            line().acknowledge(0)
            return line().events.popleft()  # type: ignore[return-value]
        return None

    monkeypatch.setattr(line(), "next", answered)
    assert len(deliver(transport, document(7), document(7))) == 1
    assert answers == [1005.0, 1009.0]
    answers.clear()
    answers.append(0.0)
    assert deliver(transport) == []
    assert answers[1:] == [0]


def test_it_does_not_wait_for_what_was_refused(transport: MqttTransport) -> None:
    connected(transport)
    line().events += [Published(2, "the broker refused it: quota"), Published(3, None)]
    assert failing(transport, document(7)) == "the broker refused it: quota"
    assert line().waits_s[-1] < 0, "the time to wait until is long past"


def test_what_was_refused_once_is_waited_for_when_it_is_sent_again(
    transport: MqttTransport,
) -> None:
    connected(transport)
    line().events.append(Published(2, NOBODY_LISTENS))
    final = document(7)
    assert failing(transport, final) == NOBODY_LISTENS
    assert failing(transport, final) == "no acknowledgement within 5 s"
    assert 4 < line().waits_s[-1] <= 5


def test_some_acknowledgements_are_no_failure_and_none_is_one(transport: MqttTransport) -> None:
    connected(transport)
    first, second = document(7), document(7)
    line().events.append(Published(2, NOBODY_LISTENS))
    publish, sent = line().publish, []

    def acknowledged_at_once(*arguments: Any, **options: Any) -> int:
        mid = publish(*arguments, **options)
        sent.append(mid)
        if len(sent) == 2:
            line().acknowledge(1)
        return mid

    line().publish = acknowledged_at_once  # type: ignore[method-assign]
    assert [each.session_id for each in deliver(transport, first, second)] == [second["session_id"]]
    assert failing(transport, first) == "no acknowledgement within 5 s"


def test_a_document_that_just_fits_is_sent(transport: MqttTransport) -> None:
    connected(transport)
    final = document(7)
    line().payload_bytes = len(json.dumps(final, separators=(",", ":")).encode())
    assert failing(transport, final) == "no acknowledgement within 5 s"
    assert line().sent() == [final]
    line().payload_bytes -= 1
    assert failing(transport, final) == "a session is larger than the broker accepts"
    assert line().sent() == [final]


def test_late_acknowledgements_of_the_last_64_documents_are_known(
    transport: MqttTransport,
) -> None:
    connected(transport)
    documents = [document(7) for _ in range(65)]
    for each in documents:
        failing(transport, each)
    line().acknowledge(0)
    line().acknowledge(1)
    line().acknowledge(64)
    known = [each.session_id for each in deliver(transport)]
    assert known == [documents[1]["session_id"], documents[64]["session_id"]]
    assert line().ignored == 1


def test_an_acknowledgement_counts_once_and_only_from_its_topic(transport: MqttTransport) -> None:
    connected(transport)
    failing(transport, document(7))
    line().acknowledge(0)
    (right,) = line().events
    assert isinstance(right, Message)
    wrong = Message(f"{TOPIC}elsewhere", right.payload, right.correlation)
    line().events = deque([wrong, right, right])
    assert len(deliver(transport)) == 1
    assert line().ignored == 2


def test_an_acknowledgement_may_come_over_the_next_connection(transport: MqttTransport) -> None:
    connected(transport)
    failing(transport, document(7))
    line().acknowledge(0)
    (late,) = line().events
    line().events.clear()
    line().ends = "gone"
    failing(transport)
    assert line().state == "discarded"
    connected(transport)
    line().events.append(late)
    assert len(deliver(transport)) == 1


def test_a_number_is_of_the_connection_on_which_it_was_given(transport: MqttTransport) -> None:
    """Numbers begin at 1 on each: a refusal there is not that of an earlier document."""
    connected(transport)
    failing(transport, first := document(7))
    line().ends = "gone"
    failing(transport)
    connected(transport)
    line().events.append(Published(2, "the broker refused it: quota"))
    assert failing(transport, first) == "the broker refused it: quota"
    line().events.append(Published(2, "the broker refused it: quota"))
    assert failing(transport, first) == "no acknowledgement within 5 s", "it was answered already"


def test_a_refused_status_is_logged_and_one_that_nobody_reads_is_not(
    transport: MqttTransport, caplog: pytest.LogCaptureFixture
) -> None:
    connected(transport)
    line().events += [Published(1, NOBODY_LISTENS), Published(1, None)]
    deliver(transport)
    assert caplog.text == ""
    line().events.append(Published(1, "the broker refused it: quota"))
    deliver(transport)
    assert caplog.text.count("the status was not published: the broker refused it: quota") == 1


# Two devices with one identity


def test_three_ends_within_a_minute_are_named_and_for_a_quarter_of_an_hour(
    transport: MqttTransport, clock: Clock
) -> None:
    def ended(later_s: float) -> str:
        connected(transport)
        clock.now_s += later_s
        line().ends, line().suspicion = "taken over", SHARED_IDENTITY
        return failing(transport)

    lost = "the connection was lost: taken over"
    assert [ended(each) for each in (0, 30, 30.5)] == [lost] * 3
    assert ended(29.5) == SHARED_IDENTITY, "three within 60 s"
    assert ended(899.5) == SHARED_IDENTITY, "it goes on, if less often"
    assert ended(900) == lost, "a quarter of an hour without one"
    assert [ended(each) for each in (100, 30)] == [lost] * 2
    assert ended(30) == SHARED_IDENTITY


def test_the_problem_lasts_longer_than_the_longest_retry_delay(
    transport: MqttTransport,
) -> None:
    for _ in range(3):
        connected(transport)
        line().ends, line().suspicion = "taken over", SHARED_IDENTITY
        with pytest.raises(DeliveryError) as caught:
            deliver(transport)
    assert caught.value.lasts_s == 900.0


# Commands, settings and views


def test_a_command_is_valid_until_its_message_expires(transport: MqttTransport) -> None:
    connected(transport)
    now_s = time.monotonic()
    line().events += [
        Message(f"{TOPIC}commands", b'{"id": "one"}', b"", now_s + 12),
        Message(f"{TOPIC}commands", b'["two"]', b"", now_s + 12),
        Message(f"{TOPIC}commands", b'{"id": "three"}', b"", math.inf),
    ]
    one, three = transport.commands()
    assert 11 < one.left_s <= 12
    assert three.left_s == math.inf
    assert line().ignored == 1
    assert transport.commands() == []


def test_the_newest_settings_count(transport: MqttTransport) -> None:
    connected(transport)
    line().events += [Message(f"{TOPIC}settings", b'{"version": %d}' % n, b"") for n in (1, 2)]
    assert transport.settings() is None
    transport.commands()
    assert transport.settings() == {"version": 2}
    assert transport.settings() is None


def test_views_go_over_the_lasting_connection_until_one_is_refused(
    transport: MqttTransport, clock: Clock
) -> None:
    assert not transport.show({"number": 1}), "there is no connection"
    connected(temporary := device(clock))
    assert not temporary.show({"number": 1})
    connected(transport)
    assert transport.show({"number": 1})
    assert line().published[-1] == (f"{TOPIC}aim", b'{"number":1}', {})
    line().events.append(Published(2, None))
    transport.commands()
    assert transport.show({"number": 2})
    line().events.append(Published(3, NOBODY_LISTENS))
    transport.commands()
    assert not transport.show({"number": 3})
    line().ends = "gone"
    failing(transport)
    connected(transport)
    assert transport.show({"number": 4}), "another connection, perhaps to a newer broker"


def test_a_refused_view_says_nothing_about_documents_or_statuses(
    transport: MqttTransport, caplog: pytest.LogCaptureFixture
) -> None:
    connected(transport)
    transport.show({"number": 1})
    line().events.append(Published(2, "the broker refused it: quota"))
    transport.commands()
    assert caplog.text == ""


def test_what_is_no_number_is_never_sent(transport: MqttTransport) -> None:
    connected(transport)
    with pytest.raises(ValueError, match="not JSON compliant"):
        deliver(transport, document(7, note=math.nan))


@pytest.mark.parametrize(("spare", "is_read"), [(0, True), (1, False)])
def test_a_command_has_16_kib_at_most(transport: MqttTransport, spare: int, is_read: bool) -> None:
    connected(transport)
    payload = b'{"id": "one"}'.ljust((16 << 10) + spare)
    line().events.append(Message(f"{TOPIC}commands", payload, b""))
    assert bool(transport.commands()) is is_read
