"""A transport, a clock and a loop that do what a test says."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.errors import DeliveryError
from agent.records import COMMAND_S
from agent.store.store import Store
from agent.sync import Backoff, Sync
from agent.transport.base import Acknowledgement, Command
from tests.agent.servers import History

Document = dict[str, Any]


class Way:
    """A transport by script: `answer` says what becomes of each document, None leaves it open."""

    def __init__(self, history: History, name: str = "way") -> None:
        self.name = name
        self.history = history
        self.error: DeliveryError | None = None
        self.silent: set[str] = set()
        self.passes_over: set[str] = set()  # without a word, and without an error
        self.waiting: list[Document] = []
        self.ask_s: float | None = None
        self.at_once = 8
        self.listening = True
        self.asked_s: list[float] = []  # when it was asked for commands, by `clock`
        self.clock: Clock | None = None
        self.tries: list[list[tuple[str, int]]] = []
        self.closed = False
        self.told: Document | None = None  # the settings
        self.settings_asked_s: list[float] = []
        self.shown: list[Document] = []  # the views

    def deliver(self, documents: Sequence[Document], timeout_s: float) -> Iterable[Acknowledgement]:
        if documents:
            self.tries.append([(each["session_id"], each["revision"]) for each in documents])
        if self.error is not None:
            raise self.error
        quiet = self.silent | self.passes_over
        heard = [each for each in documents if each["session_id"] not in quiet]
        for each in heard:
            word = Acknowledgement.read(self.history.accept(each), each)
            assert word is not None
            yield word
        if documents and not heard and not self.passes_over:
            raise DeliveryError("no acknowledgement")

    def commands(self) -> list[Command]:
        if self.ask_s is None:
            waiting, self.waiting = self.waiting, []
            return [Command(each, COMMAND_S) for each in waiting]
        assert self.clock is not None
        self.asked_s.append(self.clock.now_s)
        if self.error is not None:
            raise self.error
        return [Command(each, COMMAND_S) for each in self.waiting]  # again at each question

    def settings(self) -> Document | None:
        if self.ask_s is None:
            told, self.told = self.told, None
            return told
        assert self.clock is not None
        self.settings_asked_s.append(self.clock.now_s)
        if self.error is not None:
            raise self.error
        return self.told

    def show(self, view: Document) -> bool:
        self.shown.append(view)
        return True

    def close(self) -> None:
        self.closed = True


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def longest(low: float, high: float) -> float:
    """A draw without luck."""
    return high


def scripted(store: Store, clock: Clock, *ways: Way, device: str = "a") -> Sync:
    return Sync(store, ways, clock=clock, backoff=lambda: Backoff(clock, longest), device=device)


def steps(sync: Sync, clock: Clock, seconds: float) -> None:
    """Runs the loop for so long on the clock, a quarter of a second a step."""
    end_s = clock.now_s + seconds
    while clock.now_s < end_s:
        while sync._step():
            pass
        clock.now_s += 0.25


class Late:
    """A store that opens itself in whatever thread uses it first: a Store belongs to one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._store: Store | None = None

    def __getattr__(self, name: str) -> Any:
        if self._store is None:
            self._store = Store(self._path)
        return getattr(self._store, name)


@contextmanager
def running(late: Any, ways: Sequence[Any], **options: Any) -> Iterator[None]:
    """Delivery in a thread of its own, as in a process of its own."""
    sync, stop = Sync(late, ways, **options), threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            sync.run(stop)
        except BaseException as error:
            failures.append(error)
        finally:
            late.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)
        sync.close()
    assert not thread.is_alive()
    assert failures == []
