"""Power that is pulled: in a session, and again and again while sessions end."""

import time

from tests.device.installation import wait_for
from tests.device.scene import PATIENCE_S, STORE, Scene
from tests.device.sockets import LONG_PRESS_S, PRESS_S, REST_S, DeviceError
from tests.device.witness import Row, Witness

CHECKPOINTED_S = 4.0
AROUND = 2.0  # the cut comes at most so many times later as an end in peace took to be kept


def cut_in_session(scene: Scene) -> str:
    """What was measured up to the last checkpoint is delivered as `interrupted`."""
    session_id = scene.begin_by_button()
    known_s = scene.await_measured(session_id, CHECKPOINTED_S)
    scene.machine.cut()
    scene.boot()
    scene.await_state(session_id, "interrupted")
    session = scene.server.session(session_id)
    kept_s = session["duration_s"]
    if session["ended_by"] != "power_loss" or kept_s < known_s:
        raise DeviceError(f"the server knew {known_s} s of it; now {session}")
    return f"{kept_s} s of it in the history"


def many_cuts(scene: Scene) -> str:
    """Every document that was committed is there after the next boot, and delivered in the end."""
    committed: dict[str, Row] = {}
    caught = 0
    for number in range(scene.cuts + 1):
        if number:
            scene.boot()
        witness = Witness(scene.machine, STORE)
        if not witness.ready.wait(PATIENCE_S):
            raise DeviceError(f"the store can't be read: {witness.trouble}")
        _nothing_lost(committed, dict(witness.rows))
        if number == scene.cuts:
            break
        if not number:
            takes_s = _session(scene, witness)
        caught += _session_cut_short(scene, witness, AROUND * takes_s)
        committed |= witness.rows
    _all_delivered(scene, witness)
    kept = f"{len(committed)} sessions, all delivered"
    return f"{scene.cuts} cuts, {caught} before the final document was stored; {kept}"


def _session(scene: Scene, witness: Witness) -> float:
    """In peace; the seconds from the moment in which the long press counts until it is kept."""
    known = set(witness.rows)
    scene.machine.lever.press(PRESS_S)
    witness.await_row(known, "active", PATIENCE_S)
    scene.machine.lever.hold()
    witness.await_row(known, "ended", PATIENCE_S)
    seconds = time.monotonic() - scene.machine.lever.held_s - LONG_PRESS_S
    scene.machine.lever.release()
    time.sleep(REST_S)
    return seconds


def _session_cut_short(scene: Scene, witness: Witness, within_s: float) -> bool:
    """The power goes around the moment in which the session ends; whether it came before."""
    known = set(witness.rows)
    scene.machine.lever.press(PRESS_S)
    session_id = witness.await_row(known, "active", PATIENCE_S)
    scene.machine.lever.hold()
    time.sleep(LONG_PRESS_S + scene.random.uniform(0, within_s))
    scene.machine.cut()
    return witness.rows[session_id].state == "active"


def _nothing_lost(committed: dict[str, Row], found: dict[str, Row]) -> None:
    for session_id, row in committed.items():
        kept = found.get(session_id)
        if kept is None or (kept.revision, kept.acked) < (row.revision, row.acked):
            raise DeviceError(f"{session_id}: committed was {row}, after the cut there is {kept}")


def _all_delivered(scene: Scene, witness: Witness) -> None:
    def delivered() -> bool:
        return all(row.acked == row.revision for row in witness.rows.values())

    wait_for(delivered, "all that is kept is delivered", PATIENCE_S)
    known = scene.sessions()
    for session_id, row in witness.rows.items():
        state = known.get(session_id, {"state": "not there"})["state"]
        if state != row.state or state not in ("ended", "interrupted"):
            raise DeviceError(f"{session_id} is {row.state} on the device, {state} in the history")
