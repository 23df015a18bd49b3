"""What is read in one pass is what the serializers read; all else is left to them."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError

from server.common.parsing import MAX_DOCUMENT_BYTES, UnreadableError, parse_document
from server.session_data.bulk.typed import usual
from server.session_data.serializers import SessionDocumentSerializer, expect_numbers, validated
from tests.server.conftest import GOLDEN
from tests.server.session_data.altered import GONE, changed

NAMES = sorted(path.stem for path in GOLDEN.glob("*.json"))
DOCUMENTS = {name: json.loads((GOLDEN / f"{name}.json").read_text()) for name in NAMES}
AIM = {"advice": "dark", "found": 12.5, "needed": None}
CHECK = {"asked": 5, "found": 5, "false": 0, "look_down": "told_apart", "passed": True}
REMINDERS = {"at_s": [60.5], "rate_before_per_min": [9], "rate_after_per_min": [None]}
WHOLE = DOCUMENTS["final_eyes"] | {"check": CHECK, "reminders": REMINDERS}


def raw(document):
    return json.dumps(document).encode()


def slowly(payload, from_device=True):
    """As `usual`, with the serializers; `None` if the document is invalid."""
    try:
        known = validated(parse_document(payload))
        if from_device:
            expect_numbers(known)
    except (ValidationError, UnreadableError):
        return None
    return known


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("extra", [{}, {"aim": AIM}, {"quality": ["low_fps"]}, {"check": CHECK}])
def test_what_devices_send_is_read_in_one_pass(name, extra):
    payload = raw(DOCUMENTS[name] | extra)
    assert usual(payload, from_device=True) == slowly(payload)
    assert usual(payload, from_device=True) is not None


def paths(value, path=()):
    yield path
    if isinstance(value, dict):
        for key, inside in value.items():
            yield from paths(inside, (*path, key))
    if isinstance(value, list) and value:
        yield from paths(value[0], (*path, 0))


NUMBERS = st.one_of(
    st.integers(-2, 3), st.integers(), st.floats(allow_nan=False), st.floats(-1, 2),
    st.sampled_from([1.0, 5.0, 60.5, 1000, 10_000, 1e6, 1e9, 1e12, 1440, 1441, 2**31, -0.0]),
)  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=140),
    st.sampled_from(["active", "ended", "button", "\x00", "ä", "2026-11-22", "localtime"]),
    st.sampled_from(["0193A1B2-7c3d-7e4f-8a5b-6c7d8e9f0a1b", "2026-11-22T10:21:30+01:00"]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(TEXTS, inside, max_size=2),
    max_leaves=4,
)


@given(
    path=st.sampled_from([path for path in paths(WHOLE) if path]),
    value=st.just(GONE) | VALUES,
    from_device=st.booleans(),
)
def test_it_never_differs_from_what_the_serializers_read(path, value, from_device):
    document = copy.deepcopy(WHOLE)
    changed(path, value)(document)
    payload = raw(document)
    known = usual(payload, from_device=from_device)
    assert known is None or known == slowly(payload, from_device)


@pytest.mark.parametrize(
    "payload",
    [
        raw(WHOLE | {"note": "?"}),
        raw(WHOLE | {"schema": 2}),
        raw(WHOLE | {"quality": ["\ud800"]}),
        json.dumps(WHOLE | {"quality": ["ä"]}, ensure_ascii=False).encode(),
        raw(WHOLE | {"revision": 7.0}),
    ],
    ids=["a newer key", "a newer schema", "half a letter", "a letter beyond ASCII", "7.0"],
)
def test_valid_but_unusual_documents_are_left_to_the_serializers(payload):
    assert usual(payload, from_device=True) is None
    assert slowly(payload) is not None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        raw(WHOLE)[:-1],
        raw(WHOLE) + b"x",
        raw(WHOLE) + b" " * MAX_DOCUMENT_BYTES,
        raw(WHOLE | {"metrics": {}}),
        raw(WHOLE | {"minutes": None}),
        raw(WHOLE | {"agent": {"version": "1\x00"}}),
        raw(WHOLE | {"session_id": WHOLE["session_id"].upper()}),
        raw(WHOLE | {"ended_at": None}),
        raw(WHOLE | {"minutes": [WHOLE["minutes"][0]] * 2}),
        raw(WHOLE | {"blinks": WHOLE["blinks"] | {"at_s": []}}),
        raw(WHOLE | {"metrics": {"blink_count": 1, "partial_blink_count": 2}}),
        raw(WHOLE).replace(b"290.2", b"1e999").replace(b"300.2", b"1e999"),
    ],
)
def test_invalid_documents_are_not_read(payload):
    assert usual(payload, from_device=True) is None
    assert slowly(payload) is None


def test_a_key_that_is_there_twice_counts_as_the_serializers_count_it():
    payload = raw(WHOLE).replace(b'"revision"', b'"revision": 999, "revision"', 1)
    assert usual(payload, from_device=True) == slowly(payload)
    assert usual(payload, from_device=True)["revision"] == WHOLE["revision"]


def test_no_serializer_has_checks_that_the_one_pass_leaves_out():
    document = SessionDocumentSerializer()
    nested = [field for field in document.fields.values() if hasattr(field, "fields")]
    rows = [field.child for field in document.fields.values() if hasattr(field, "child")]
    checks = {
        name
        for each in [*nested, *(each for each in rows if hasattr(each, "fields"))]
        for name in each.fields
        if hasattr(each, f"validate_{name}")
    }
    assert nested
    assert not checks
    own = [name for name in document.fields if hasattr(document, f"validate_{name}")]
    assert own == ["minutes"]
