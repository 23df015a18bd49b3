"""Documents that wait together go in one request, and are answered one by one."""

from collections.abc import Iterator
from typing import Any

import pytest

from agent.errors import DeliveryError
from agent.transport.base import Acknowledgement
from agent.transport.batches import (
    BATCH_BYTES,
    FIRST_AT_ONCE,
    MOST_AT_ONCE,
    Batches,
    body_of,
)
from agent.transport.http import HttpSettings, HttpTransport
from tests.agent.documents import document
from tests.agent.servers import BATCH, TOKEN, Api, Behaviour, Handler, History

POST = ("POST", BATCH)
LARGE = "x" * (BATCH_BYTES // 3)


class Clock:
    """Time that passes when told to."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def transport(api: Api, clock: Clock) -> Iterator[HttpTransport]:
    transport = HttpTransport(HttpSettings(api.url, TOKEN, timeout_s=5.0), clock=clock)
    yield transport
    transport.close()


def some(count: int) -> list[dict[str, Any]]:
    return [document(7) for _ in range(count)]


def deliver(transport: HttpTransport, documents: list[dict[str, Any]]) -> list[Acknowledgement]:
    return list(transport.deliver(documents, 99.0))


def stored(documents: list[dict[str, Any]]) -> list[Acknowledgement]:
    return [Acknowledgement(each["session_id"], each["revision"], "stored") for each in documents]


def answered(number: int, body: object, **headers: str) -> Behaviour:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.answer(number, body, named)


def test_documents_that_wait_together_are_one_request(
    api: Api, history: History, transport: HttpTransport
) -> None:
    documents = some(8)
    history.refuse.add(documents[3]["session_id"])
    outcomes = [each.outcome for each in deliver(transport, documents)]
    assert outcomes == ["stored"] * 3 + ["rejected"] + ["stored"] * 4
    assert api.requests == [POST]
    assert history.revisions().keys() == {each["session_id"] for each in documents} - history.refuse


def test_one_document_is_sent_as_ever(api: Api, transport: HttpTransport) -> None:
    deliver(transport, [document(1)])
    deliver(transport, [document(2)])
    assert [method for method, _ in api.requests] == ["POST", "PUT"]
    assert POST not in api.requests


def test_the_batches_grow_while_all_goes_well_and_have_a_bound(
    api: Api, transport: HttpTransport
) -> None:
    counts = []
    for _ in range(6):
        counts.append(transport.at_once)
        assert len(deliver(transport, some(transport.at_once))) == counts[-1]
    assert counts == [FIRST_AT_ONCE, 16, 32, MOST_AT_ONCE, MOST_AT_ONCE, MOST_AT_ONCE]
    assert api.requests == [POST] * 6


def test_a_batch_has_a_bound_in_bytes_too(api: Api, transport: HttpTransport) -> None:
    documents = [document(7) | {"note": LARGE} for _ in range(5)]
    assert deliver(transport, documents) == stored(documents)
    assert [method for method, _ in api.requests] == ["POST", "POST", "PUT"]
    assert transport.at_once == 4, "no more are read from the store than may be sent"


def sized(size: int) -> dict[str, Any]:
    return {"note": "x" * (size - len(body_of({"note": ""})))}


@pytest.mark.parametrize(("more", "count"), [(0, 2), (1, 1)])
def test_that_bound_is_met_and_not_exceeded(more: int, count: int, clock: Clock) -> None:
    documents = [sized(1000), sized(BATCH_BYTES - 1000 + more), sized(10)]
    assert len(Batches(clock).next(documents)) == count
    brackets_and_commas = 2 + MOST_AT_ONCE
    assert BATCH_BYTES + brackets_and_commas < 1 << 20, "the server's own bound"
    assert MOST_AT_ONCE <= 100, "and that of documents"


def test_what_is_no_number_is_never_sent() -> None:
    """JSON has none: the server would refuse all of the batch."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        body_of({"ear_mean": float("nan")})


def test_after_a_failure_it_starts_again_with_one(api: Api, transport: HttpTransport) -> None:
    """A slow network, or one bad document, must not hold up all."""
    documents = some(8)
    api.next.append(answered(502, b"bad gateway"))
    with pytest.raises(DeliveryError):
        deliver(transport, documents)
    assert transport.at_once == 1
    api.requests.clear()
    assert deliver(transport, documents) == stored(documents)
    assert [method for method, _ in api.requests] == ["PUT", "POST", "POST", "PUT"], "1, 2, 4, 1"


@pytest.mark.parametrize("number", [400, 404, 405, 409, 413, 422])
def test_a_server_or_proxy_without_batches_gets_single_documents_for_an_hour(
    number: int, api: Api, transport: HttpTransport, clock: Clock
) -> None:
    documents = some(3)
    api.next.append(answered(number, {"outcome": "rejected", "reason": "not like this"}))
    assert deliver(transport, documents) == stored(documents), "nothing is rejected by that"
    assert [method for method, _ in api.requests] == ["POST", "PUT", "PUT", "PUT"]
    clock.now_s += 3600 - 0.5
    api.requests.clear()
    deliver(transport, some(2))
    assert transport.at_once == FIRST_AT_ONCE
    assert POST not in api.requests
    clock.now_s += 0.5
    api.requests.clear()
    deliver(transport, some(2))
    assert api.requests == [POST]


def test_an_older_server_gets_them_one_by_one(
    api: Api, history: History, transport: HttpTransport
) -> None:
    api.batches = False
    documents = some(20)
    assert deliver(transport, documents) == stored(documents)
    assert api.requests.count(POST) == 1
    assert len(history.said) == 20


def changed(**changes: Any) -> Behaviour:
    """Results of which the last is nearly right."""

    def answer(handler: Handler) -> None:
        results = [
            {"session_id": each["session_id"], "revision": 7, "outcome": "stored", "reason": None}
            for each in handler.documents
        ]
        results[-1] |= changes
        handler.answer(200, {"results": results})

    return answer


def fewer(handler: Handler) -> None:
    results = [
        {"session_id": each["session_id"], "revision": 7, "outcome": "stored"}
        for each in handler.documents
    ]
    handler.answer(200, {"results": results[:-1]})


@pytest.mark.parametrize(
    "behaviour",
    [
        answered(200, b"<html>Welcome to the hotel</html>"),
        answered(200, {}),
        answered(200, {"results": "stored"}),
        answered(200, {"results": [None, None]}),
        answered(201, {"results": []}),
        answered(204, b""),
        fewer,
        changed(session_id="another"),
        changed(revision=8),
        changed(outcome="ok"),
        changed(outcome="rejected", session_id="another"),
    ],
)
def test_anything_else_acknowledges_nothing(
    behaviour: Behaviour, api: Api, transport: HttpTransport
) -> None:
    documents = some(2)
    api.next.append(behaviour)
    with pytest.raises(DeliveryError, match="login page"):
        deliver(transport, documents)
    assert deliver(transport, documents) == stored(documents), "the next try works"


def test_a_deferred_document_waits_and_the_others_do_not(
    api: Api, transport: HttpTransport
) -> None:
    documents = some(2)
    api.next.append(changed(outcome="deferred", session_id=None, revision=None))
    assert deliver(transport, documents) == stored(documents[:1])


def test_a_rejection_need_not_name_the_session(api: Api, transport: HttpTransport) -> None:
    documents = some(2)
    api.next.append(
        changed(outcome="rejected", session_id=None, revision=None, reason="no", errors={"a": "b"})
    )
    rejected = Acknowledgement(documents[1]["session_id"], 7, "rejected", "no")
    assert deliver(transport, documents) == [*stored(documents[:1]), rejected]


def test_long_reasons_for_every_document_are_read(api: Api, transport: HttpTransport) -> None:
    documents = some(8)

    def refuse(handler: Handler) -> None:
        results = [{"outcome": "rejected", "reason": "r" * 10_000} for _ in handler.documents]
        handler.answer(200, {"results": results})

    api.next.append(refuse)
    assert [each.outcome for each in deliver(transport, documents)] == ["rejected"] * 8


@pytest.mark.parametrize("number", [401, 429, 503])
def test_a_refusal_of_all_is_a_failure_that_may_say_when(
    number: int, api: Api, transport: HttpTransport
) -> None:
    api.next.append(answered(number, {"detail": "later"}, Retry_After="120"))
    with pytest.raises(DeliveryError) as caught:
        deliver(transport, some(2))
    assert caught.value.retry_after_s == 120
