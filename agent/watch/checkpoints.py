"""Save a running session to the store without making any frame wait for the disk."""

import concurrent.futures
import logging
from dataclasses import dataclass
from functools import partial

from agent.clock import Clock
from agent.errors import StoreError
from agent.measure.recording import Recording
from agent.records import Document, Store
from agent.system import systemd
from agent.system.worker import Worker
from agent.watch.saving import note, save
from agent.watch.settings import remind_below

log = logging.getLogger(__name__)

LOOK_S = 0.5  # how often to look for commands and ping the watchdog
LATE_SHARE = 0.05  # share of dropped frames to report; single drops are normal
FINISH_S = 20.0  # for the last call, which may wait for other processes; less than WatchdogSec


@dataclass(frozen=True, slots=True)
class _Result:
    """The result of a call: whether a checkpoint was saved, the command that was found, and the
    rate below which to remind."""

    saved: bool | None = None
    command: Document | None = None
    remind_below: float | None = None


class Checkpoints:
    """Saves the session of `recording` every `checkpoint_s` seconds, and looks for commands.

    If it `reminds`, it also looks for the settings, so that a change counts in the running session.

    Only one call to the store is pending at a time. Frames are still measured while it runs. A
    checkpoint that becomes due meanwhile is made when the call returns, so that it contains the
    newest data and nothing queues up. Each completed call pings the watchdog, because it proves
    that frames arrive and that the store responds.
    """

    def __init__(
        self,
        recording: Recording,
        worker: Worker[Store],
        clock: Clock,
        checkpoint_s: float,
        reminds: bool = False,
    ) -> None:
        self.saved = True  # whether the newest checkpoint was saved
        self._recording = recording
        self._worker = worker
        self._clock = clock
        self._checkpoint_s = checkpoint_s
        self._reminds = reminds
        self._late = False
        self._looked_s = self._saved_s = recording.age_s
        self._pending = worker.submit(self._visit)

    def after_frame(self) -> bool:
        """Take the result of the last call and start the next one.

        Returns whether a command ends the session. A start command has no effect while a session
        runs. It is taken by the call after the one that found it. A command that the last call
        finds is left to the loop, because it may have been sent after the session ended.
        """
        age_s = self._recording.age_s
        due = age_s - self._saved_s >= self._checkpoint_s
        if not (due or age_s - self._looked_s >= LOOK_S) or not self._pending.done():
            return False
        result = self._pending.result()
        systemd.watchdog()
        self._looked_s = age_s
        if result.saved is not None:
            self.saved = result.saved
        self._recording.remind_below(result.remind_below)
        if self._clock.synchronized():
            self._recording.believe_clock()
        if due:
            self._saved_s = age_s
            self._check_drops()
        document = self._recording.document() if due else None
        visit = partial(self._visit, read=result.command, document=document, late=self._late)
        self._pending = self._worker.submit(visit)
        return self._is_stop(result.command)

    def finish(self) -> None:
        """Wait for the last call; its result is not needed. Raises StoreError if it hangs."""
        if not concurrent.futures.wait([self._pending], FINISH_S).done:
            raise StoreError(f"the store did not answer within {FINISH_S:g} s")

    def _check_drops(self) -> None:
        """Log once that this device can't keep up with its camera."""
        dropped = self._recording.frames_dropped
        given = self._recording.frames + dropped
        if not self._late and dropped > LATE_SHARE * given:
            self._late = True
            log.warning("this device can't keep up: %d of %d frames dropped so far", dropped, given)

    def _is_stop(self, command: Document | None) -> bool:
        if command is None or command["command"] != "stop":
            return False
        # A stop command that arrives late must not end the next session.
        return command.get("session_id") in (None, self._recording.session_id)

    # Called in the worker's thread

    def _visit(
        self,
        store: Store,
        read: Document | None = None,
        document: Document | None = None,
        late: bool = False,
    ) -> _Result:
        """Take `read`, the command of the last call, look for the next, and save `document`."""
        command = _look(store, read)
        below = remind_below(store) if self._reminds else None
        if document is None:
            return _Result(command=command, remind_below=below)
        saved = save(store, document)
        if saved and late:
            session_id = document["session_id"]
            note(store, {"state": "measuring", "session_id": session_id, "keeps_up": False})
        return _Result(saved=saved, command=command, remind_below=below)


def _look(store: Store, read: Document | None) -> Document | None:
    """Return the next command. A stop is taken at once: it concerns no later session."""
    try:
        if read is not None:
            store.drop_command(read["id"])
        command = store.next_command()
        if command is not None and command["command"] == "stop":
            store.drop_command(command["id"])
        return command
    except StoreError as error:  # no reason to end the session
        log.debug("can't look for commands: %s", error)  # the next checkpoint reports it
        return None
