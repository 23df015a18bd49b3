"""Any revisions of any sessions, through both doors, in any order and as often as one likes: the
history ends as if each session's had come once, in order."""

import json
import uuid
from collections.abc import Callable
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from server.common.mqtt import Message
from server.ingest.batches import take as stored
from server.session_data.models import SessionData
from tests.server.conftest import Api, Document, World, golden

HIGHEST = 6
SESSIONS = 3
OWN = {"id", "session_id", "received_at", "updated_at"}  # differ though the sessions are alike

Sent = tuple[int, int]  # a session by its number, and a revision
SENT = st.tuples(st.integers(0, SESSIONS - 1), st.integers(1, HIGHEST))


def document(session_id: str, revision: int) -> Document:
    """Started, three checkpoints, the final metrics, and a corrected date after the end."""
    kind = {1: "started", 5: "final", 6: "final"}.get(revision, "checkpoint")
    made = golden(kind, session_id=session_id, revision=revision)
    if revision > 1:
        made["metrics"]["blink_count"] = 100 + revision
    if revision == 6:
        made |= {"started_at": "2025-03-30T00:30:00Z", "ended_at": "2025-03-30T01:30:00Z"}
    return made


class Doors(RuleBasedStateMachine):
    """Two doors into one room, and what should be in it."""

    def __init__(self, world: World, device: Api, reader: Api) -> None:
        super().__init__()
        self.world, self.device, self.reader = world, device, reader
        self.ids = [str(uuid.uuid4()) for _ in range(SESSIONS)]
        self.sent: dict[int, set[int]] = {number: set() for number in range(SESSIONS)}

    @rule(sent=SENT, starts=st.booleans())
    def by_http(self, sent: Sent, starts: bool) -> None:
        number, revision = sent
        body = document(self.ids[number], revision)
        if starts or revision == 1:
            answer = self.device("POST", "/api/session/start/", body)
        else:
            answer = self.device("PUT", f"/api/session/{self.ids[number]}/", body)
        created = not self.sent[number]
        assert answer.status_code == (201 if created else 200)
        self.expect(sent, answer.json())

    @rule(batch=st.lists(SENT, min_size=1, max_size=5))
    def by_mqtt(self, batch: list[Sent]) -> None:
        topic = f"blinklog/1/devices/{self.world.device.pk}/sessions"
        documents = [document(self.ids[number], revision) for number, revision in batch]
        answers = stored([Message(topic, json.dumps(each).encode()) for each in documents])
        for sent, answer in zip(batch, answers, strict=True):
            assert answer is not None
            self.expect(sent, answer.answer())

    def expect(self, sent: Sent, answer: dict[str, Any]) -> None:
        number, revision = sent
        highest = max(self.sent[number], default=0)
        outcome = "stored" if revision > highest else "duplicate"
        if revision < highest:
            outcome = "stale"
        assert (answer["session_id"], answer["revision"]) == (self.ids[number], revision)
        assert answer["outcome"] == outcome
        self.sent[number].add(revision)

    def teardown(self) -> None:
        for number, revisions in self.sent.items():
            if revisions:
                self.compare_with_in_order(self.ids[number], sorted(revisions))
        kept = SessionData.objects.filter(pk__in=self.ids).count()
        assert kept == sum(map(bool, self.sent.values()))

    def compare_with_in_order(self, session_id: str, revisions: list[int]) -> None:
        twin = str(uuid.uuid4())
        for revision in revisions:
            self.device("PUT", f"/api/session/{twin}/", document(twin, revision))
        assert self.shown(session_id) == self.shown(twin)

    def shown(self, session_id: str) -> dict[str, Any]:
        session = self.reader.get(f"/api/session/{session_id}/").json()
        return {name: value for name, value in session.items() if name not in OWN}


def test_any_interleaving_over_both_doors_ends_as_in_order(
    world: World, api: Callable[[str], Api]
) -> None:
    run_state_machine_as_test(
        lambda: Doors(world, api("device"), api("carl")),
        settings=settings(
            max_examples=15,
            stateful_step_count=15,
            deadline=None,
            phases=[Phase.generate],  # shrinking takes minutes on a database
        ),
    )
