"""The status report as text: one line per item, the most important first."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from agent.measure.check import sentence

Report = dict[str, Any]

AGAIN = "check it again: blink-agent check-counting"
DOUBTS = {
    "failed": f"; this check FAILED: look at blink-agent aim, then {AGAIN}",
    "old": f"; that is more than 90 days ago: {AGAIN}",
    "models": f"; the models are others now: {AGAIN}",
}

UNKNOWN = "this user may not see it: sudo blink-agent status"
STATES = {
    "ready": "idle: press the button to start",
    "starting": "starting: opening the camera and the models",
    "finishing": "finishing a session",
    "looking": "looking for codes: show one to the camera, or press the button to end it",
    "unknown": UNKNOWN,
}


def lines(report: Report) -> list[str]:
    """Return the lines that `blink-agent status` prints."""
    return [f"{name:12} {text}".rstrip() for name, text in _lines(report)]


def _lines(report: Report) -> Iterator[tuple[str, str]]:
    yield "doing", _doing(report)
    yield from _waiting(report)
    yield "delivery", _delivery(report)
    yield "last contact", _contact(report)
    yield "store", _store(report)
    yield "counting", _check(report)
    yield "device", _device(report["device"])
    if report["setup"]:
        yield "setup", _setup(report["setup"])
    yield "updates", _update(report["update"])
    yield "clock", _clock(report["clock"])
    yield "versions", _versions(report["versions"])
    for name, text in (report["units"] or {}).items():
        yield "unit", f"{name}: {text}"


def _update(update: Report) -> str:
    if update["key"] is None:
        return "this device trusts no key for releases: sudo blink-agent release trust"
    last = f"; the last one: {update['state'].replace('_', ' ')}" if update["state"] else ""
    problem = f": {update['problem']}" if update["problem"] else ""
    return f"signed by {update['key']}{last}{problem}"


def _doing(report: Report) -> str:
    doing, note = report["doing"], report["watch"] or {}
    state = doing["state"]
    if state == "measuring":
        late = ", and this device is too slow to keep up" if note.get("keeps_up") is False else ""
        activity = f" ({doing['activity']})" if doing["activity"] else ""
        session = f"session {doing['session_id']}{activity}"
        return f"measuring since {_local(doing['since'])}, {session}{late}"
    if state == "fault":
        return f"fault: {note.get('problem')}"
    if state == "not running":
        return "blink-agent watch does not run: nothing is measured"
    return STATES.get(state, str(state))


def _waiting(report: Report) -> Iterator[tuple[str, str]]:
    counts = report["sessions"]
    if counts is None:
        return
    yield (
        "sessions",
        f"{counts['sessions']} stored: {counts['delivered']} delivered, {counts['pending']}"
        f" unsent, {counts['parked']} refused by the server",
    )
    for each in report["waiting"]:
        yield "unsent", f"{each['id']} of {_local(each['started_at'])}, {each['state']}"
    for each in report["parked"]:
        yield "refused", f"{each['id']}: {each['reason']}"


def _delivery(report: Report) -> str:
    if report["doing"]["state"] == "unknown":
        return UNKNOWN
    note = report["delivery"] or {}
    running = "" if report["doing"]["sync_process"] else "blink-agent sync does not run"
    problem = note.get("problem")
    at = f" ({_local(note['at'])})" if problem and note.get("at") else ""
    again = f"next try {_local(report['next_try'])}" if problem and report["next_try"] else ""
    trouble = f"{problem}{at}" if problem else ""
    return "; ".join(filter(None, (running, trouble, again))) or "no problems"


def _contact(report: Report) -> str:
    if report["doing"]["state"] == "unknown":
        return UNKNOWN
    return _local(report["last_contact"]) if report["last_contact"] else "none yet"


def _store(report: Report) -> str:
    place, note = report["database"], report["store"] or {}
    if not place["exists"]:
        return f"{place['path']}: none yet"
    if "problem" in note:
        return str(note["problem"])
    if "set_aside" in note:
        saved = note.get("sessions_saved", "what could be read")
        return f"{place['path']}; a damaged one was set aside: {note['set_aside']}, saved: {saved}"
    return str(place["path"])


def _check(report: Report) -> str:
    check = report["check"]
    if check is None:
        return "not checked yet: press the button twice, or blink-agent check-counting"
    doubt = DOUBTS.get(report["check_doubt"], "")
    return f"{sentence(check)} ({_local(check['started_at'])}){doubt}"


def _device(device: Report) -> str:
    if not device["enrolled"]:
        return "not enrolled: sudo blink-agent enrol URL CODE"
    broker = f", broker {device['broker']}" if device["broker"] else ", no broker"
    return f"{device['id']} at {device['server']}{broker}"


def _setup(setup: Report) -> str:
    problem = f": {setup['problem']}" if setup["problem"] else ""
    return f"{setup['source']} ({_local(setup['at'])}): {setup['outcome']}{problem}"


def _clock(clock: Report) -> str:
    sure = "synchronised" if clock["synchronized"] else "NOT synchronised: dates are uncertain"
    return f"{_local(clock['now'])} {clock['timezone'] or 'in an unnamed zone'}, {sure}"


def _versions(versions: Report) -> str:
    found = [
        f"blink-agent {versions['agent']}",
        *(f"{name}@{version}" for name, version in versions["models"].items()),
        versions["runtime"] or "no TFLite runtime",
        f"Python {versions['python']}",
        versions["system"],
        versions["board"],
    ]
    return ", ".join(filter(None, found))


def _local(moment: Any) -> str:
    """Format an ISO time in this machine's time zone. Return other text unchanged."""
    try:
        there = datetime.fromisoformat(str(moment))
    except ValueError:
        return str(moment)
    there = there if there.tzinfo else there.replace(tzinfo=UTC)
    return there.astimezone().strftime("%Y-%m-%d %H:%M:%S")
