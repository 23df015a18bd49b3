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

log = logging.getLogger(__name__)

LOOK_S = 0.5  # how often to look for commands and ping the watchdog
LATE_SHARE = 0.05  # share of dropped frames to report; single drops are normal
FINISH_S = 20.0  # for the last call, which may wait for other processes; less than WatchdogSec


@dataclass(frozen=True, slots=True)
class _Result:
    """The result of a call: whether a checkpoint was saved, and the command that was found."""

    saved: bool | None = None
    command: Document | None = None


class Checkpoints:
    """Saves the session of `recording` every `checkpoint_s` seconds, and looks for commands.

    Only one call to the store is pending at a time. Frames are still measured while it runs. A
    checkpoint that becomes due meanwhile is made when the call returns, so that it contains the
    newest data and nothing queues up. Each completed call pings the watchdog, because it proves
    that frames arrive and that the store responds.
    """

    def __init__(
        self, recording: Recording, worker: Worker[Store], clock: Clock, checkpoint_s: float
    ) -> None:
        self.saved = True  # whether the newest checkpoint was saved
        self._recording = recording
        self._worker = worker
        self._clock = clock
        self._checkpoint_s = checkpoint_s
        self._late = False
        self._looked_s = self._saved_s = recording.age_s
        self._pending = worker.submit(self._look)

    def after_frame(self) -> bool:
        """Take the result of the last call and start the next one.

        Returns whether a command ends the session.
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
        if self._clock.synchronized():
            self._recording.believe_clock()
        if due:
            self._saved_s = age_s
            self._check_drops()
            write = partial(self._write, document=self._recording.document(), late=self._late)
        self._pending = self._worker.submit(write if due else self._look)
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

    def _write(self, store: Store, document: Document, late: bool) -> _Result:
        saved = save(store, document)
        if saved and late:
            session_id = document["session_id"]
            note(store, {"state": "measuring", "session_id": session_id, "keeps_up": False})
        return _Result(saved=saved)

    def _look(self, store: Store) -> _Result:
        try:
            return _Result(command=store.take_command())
        except StoreError as error:  # no reason to end the session
            log.debug("can't look for commands: %s", error)  # the next checkpoint reports it
            return _Result()
