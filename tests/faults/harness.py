"""A whole installation in a folder: broker, server, consumer, devices; each to be killed at will.

    device:  watch -> store -> sync --(proxies)--> broker -> consumer \
                                  `--(proxies)--> server ------------- database -> history

Everything is the real thing but for what `watch` sees: a feeder drives the real loop, a hundred
times as fast as time goes by.
"""

import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from agent.store.store import Store
from tests.broker import Broker, free_port
from tests.faults.feeder import checksum
from tests.faults.launcher import Launcher, until
from tests.faults.parts import BrokerPart, Part, Program
from tests.faults.proxy import Proxy

PERSON, PASSWORD = "eileen", "a long enough pass phrase"
SERVER_MODULES = (
    "server.config.wsgi",
    "server.operations.gunicorn",
    "server.operations.cli",
    "server.ingest.consumer",
)
AGENT_MODULES = ("agent.cli.main", "agent.sync", "tests.faults.feeder")
SETTLE_S = 90.0  # the longest that delivery may take once all is well again
BOTH = ("mqtt", "http")


@dataclass
class Device:
    """One device: its store, its two programs, and its ways to the server."""

    id: str
    folder: Path
    sync: Program
    watch: Program
    mqtt: Proxy
    http: Proxy

    @property
    def store(self) -> Path:
        """The store's file."""
        return self.folder / "agent.sqlite3"

    @property
    def journal(self) -> Path:
        """What the store is known to have taken."""
        return self.folder / "journal"

    @property
    def config(self) -> Path:
        """The agent's configuration."""
        return self.folder / "agent.toml"

    def counts(self) -> dict[str, int]:
        """As `blink-agent status` says."""
        with contextlib.closing(Store(self.store)) as store:
            return store.counts()


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the sessions.

    `lost`: not in the history, or not in the store that had taken it. `doubled`: in the history
    twice, or known to no device. `wrong`: there, and not as the device has it.
    """

    sessions: int
    delivered: int
    lost: int
    doubled: int
    wrong: int

    @property
    def clean(self) -> bool:
        """Every session is there, once, and right."""
        return self.delivered == self.sessions and not (self.lost or self.doubled or self.wrong)


class Site:
    """The installation. `ways` of its devices to the server: mqtt, http or both. `database`: as
    `DATABASE_URL` takes it; without one an SQLite file of its own.

    `replicas`: a second server and a second consumer, started and killed by whoever asks for them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ways: Sequence[str] = BOTH,
        devices: int = 1,
        database: str | None = None,
    ) -> None:
        self.folder = folder
        self._stack = contextlib.ExitStack()
        self.port, self._second_port = free_port(), free_port()
        self._database = database or f"sqlite:///{folder / 'server' / 'blinklog.sqlite3'}"
        self._before: set[str] = set()
        with contextlib.ExitStack() as stack:
            self._found(stack, ways, devices)
            self._stack = stack.pop_all()

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # Founding

    def _found(self, stack: contextlib.ExitStack, ways: Sequence[str], devices: int) -> None:
        (self.folder / "server").mkdir(parents=True)
        broker_port = free_port()
        self._servers = stack.enter_context(
            contextlib.closing(Launcher(SERVER_MODULES, self._environment(broker_port)))
        )
        self._agents = stack.enter_context(contextlib.closing(Launcher(AGENT_MODULES, {})))
        self._command("migrate", "--quiet")
        made = self._command("create-person", PERSON, "--token", "--json")
        self._token = json.loads(made)["token"]
        named = [
            json.loads(
                self._command(
                    "create-device", "--person", PERSON, "--name", f"device {n}", "--json"
                )
            )
            for n in range(devices)
        ]
        users = {"blinklog-server": PASSWORD, **{each["device"]: PASSWORD for each in named}}
        (self.folder / "broker").mkdir()
        self.broker = BrokerPart(Broker(self.folder / "broker", users, port=broker_port))
        stack.callback(self.broker.kill)
        self.server, second = self._server(self.port), self._server(self._second_port)
        self.consumer = self._of_the_server("consume", log="consumer.log")
        self.replicas = [second, self._of_the_server("consume", log="second-consumer.log")]
        self.devices = [self._device(stack, each, ways, broker_port) for each in named]

    def _server(self, port: int) -> Program:
        bind = ("--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "4")
        return self._of_the_server("serve", *bind, log=f"server-{port}.log")

    def _of_the_server(self, *arguments: str, log: str) -> Program:
        return Program(
            self._servers, "server.operations.cli:main", *arguments, log=self.folder / log
        )

    def _environment(self, broker_port: int) -> dict[str, str]:
        return {
            "DJANGO_SETTINGS_MODULE": "server.config.settings",
            "BLINKLOG_SECRET_KEY": "of this folder alone",
            "BLINKLOG_DATA_DIR": str(self.folder / "server"),
            "DATABASE_URL": self._database,
            "BLINKLOG_MQTT_URL": f"mqtt://blinklog-server:{PASSWORD.replace(' ', '%20')}"
            f"@127.0.0.1:{broker_port}",
        }

    def _command(self, *arguments: str) -> str:
        said = self._servers.run(
            "server.operations.cli:main", *arguments, log=self.folder / "command.log"
        )
        return said.strip().splitlines()[-1] if said.strip() else ""

    def _device(
        self,
        stack: contextlib.ExitStack,
        named: dict[str, str],
        ways: Sequence[str],
        broker_port: int,
    ) -> Device:
        folder = self.folder / named["device"]
        folder.mkdir()
        mqtt = stack.enter_context(Proxy(broker_port))
        http = stack.enter_context(Proxy(self.port, self._second_port))
        config = _agent_config(folder, named, mqtt.port, http.port, ways)
        (folder / "agent.toml").write_text(config)
        store, journal = folder / "agent.sqlite3", folder / "journal"
        sync = ("--config", folder / "agent.toml", "sync")
        feeder = (store, journal, "1000000", "1")
        return Device(
            named["device"],
            folder,
            Program(self._agents, "agent.cli.main:main", *sync, log=folder / "sync.log"),
            Program(self._agents, "tests.faults.feeder:main", *feeder, log=folder / "watch.log"),
            mqtt,
            http,
        )

    # Running

    @property
    def device(self) -> Device:
        """The first."""
        return self.devices[0]

    def agent(self, *arguments: str | Path, log: str) -> Program:
        """A `blink-agent` with these arguments, for the first device."""
        return Program(
            self._agents, "agent.cli.main:main", *arguments, log=self.device.folder / log
        )

    def parts(self) -> dict[str, Part]:
        """Everything, by name; of the devices the first."""
        return {
            "broker": self.broker,
            "server": self.server,
            "consumer": self.consumer,
            "sync": self.device.sync,
            "watch": self.device.watch,
        }

    def start(self, *, watch: bool = True) -> None:
        """Starts what does not run. `watch`: the devices' feeders too."""
        parts: list[Part] = [self.broker, self.server, self.consumer]
        parts += [device.sync for device in self.devices]
        parts += [device.watch for device in self.devices if watch]
        for part in parts:
            if not part.alive():
                part.start()

    def heal(self) -> None:
        """The network works; what it held back is lost."""
        for device in self.devices:
            for proxy in (device.mqtt, device.http):
                proxy.heal()

    def feed(self, sessions: int, *, pace_ms: float = 0) -> None:
        """Make so many sessions on every device, or none: then those cut off are only closed.

        Kills `watch` before: one process makes the sessions of a store, as the process lock has it.
        """
        for device in self.devices:
            device.watch.kill()
            self.feed_into(device.store, sessions, pace_ms=pace_ms)

    def feed_into(self, store: Path, sessions: int, *, pace_ms: float = 0) -> None:
        """The same for one store, with a journal beside it."""
        said = self._agents.run(
            "tests.faults.feeder:main",
            *(store, store.parent / "journal", str(sessions), str(pace_ms)),
            log=self.folder / "feed.log",
        )
        if "Traceback" in said:
            raise RuntimeError(said)

    def settle(self, bound_s: float = SETTLE_S, *, restart: bool = True) -> float:
        """No more sessions; everything runs again, and everything is delivered.

        `restart`: the devices' sync too, which forgets for how long it meant to wait. Returns the
        seconds from the moment when everything had been started. Raises TimeoutError.
        """
        self.heal()
        if restart:
            for device in self.devices:
                device.sync.kill()
        self.feed(0)
        self.start(watch=False)
        began = time.monotonic()
        try:
            until(self.all_delivered, "everything delivered", bound_s)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.words()}") from None
        return time.monotonic() - began

    def all_delivered(self) -> bool:
        """Whether no device has anything to send."""
        return all(device.counts()["pending"] == 0 for device in self.devices)

    def words(self) -> str:
        """What the programs said last."""
        programs = [self.server, self.consumer, *(device.sync for device in self.devices[:3])]
        return "\n".join(f"-- {each.log.name}\n{each.words()}" for each in programs)

    # Comparing

    def tally(self) -> Tally:
        """The sessions since the last call (or the beginning), as they are in the history."""
        history = self.history()
        kept, lost = self._kept()
        new = {key: document for key, document in kept.items() if key not in self._before}
        shown = {entry["id"]: entry for entry in history}
        doubled = len(history) - len(shown) + len(shown.keys() - kept.keys())
        found = [key for key in new if key in shown]
        wrong = sum(_differs(new[key], shown[key]) for key in found)
        self._before |= kept.keys()
        return Tally(
            sessions=len(new) + lost,
            delivered=len(found) - wrong,
            lost=len(new) - len(found) + lost,
            doubled=doubled,
            wrong=wrong,
        )

    def ask(self, path: str, **parameters: str | int) -> Any:
        """The API, as the person."""
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = requests.get(self.url + path, params=parameters, headers=headers, timeout=20)
        answer.raise_for_status()
        return answer.json()

    @property
    def url(self) -> str:
        """The server's."""
        return f"http://127.0.0.1:{self.port}"

    def _ready(self) -> None:
        def answers() -> bool:
            with contextlib.suppress(requests.RequestException):
                return requests.get(f"{self.url}/readyz", timeout=5).ok
            return False

        until(answers, "the server answers")

    def history(self) -> list[dict[str, Any]]:
        """All of the person's sessions, page after page."""
        self._ready()
        entries: list[dict[str, Any]] = []
        cursor: dict[str, str | int] = {}
        while True:
            page = self.ask("/api/session/history/", user=PERSON, limit=200, **cursor)
            entries += page["results"]
            if not page["has_more"]:
                return entries
            cursor = {"cursor": page["next"].partition("cursor=")[2].partition("&")[0]}

    def _kept(self) -> tuple[dict[str, dict[str, Any]], int]:
        """What the stores hold; and how many sessions a journal knows better than its store."""
        documents: dict[str, dict[str, Any]] = {}
        lost = 0
        for device in self.devices:
            with contextlib.closing(Store(device.store)) as store:
                own = {each.session_id: each.document for each in store.sessions(1_000_000)}
            documents |= own
            lost += _lost(own, device.journal)
        return documents, lost


def _lost(own: dict[str, dict[str, Any]], journal: Path) -> int:
    """Sessions whose journaled revision, or a higher one, the store has not."""
    lost = set()
    for line in journal.read_text().splitlines() if journal.exists() else []:
        session_id, revision, written = json.loads(line)
        document = own.get(session_id)
        if (
            document is None
            or document["revision"] < revision
            or (document["revision"] == revision and checksum(document) != written)
        ):
            lost.add(session_id)
    return len(lost)


def _differs(document: dict[str, Any], shown: dict[str, Any]) -> bool:
    expected = {name: document[name] for name in ("revision", "state", "ended_by")}
    expected |= document["metrics"]
    return any(shown[name] != value for name, value in expected.items())


def _agent_config(
    folder: Path, named: dict[str, str], mqtt: int, http: int, ways: Sequence[str]
) -> str:
    for name, text in (("token", named["token"]), ("password", PASSWORD)):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)
    lines = [f'[store]\npath = "{folder / "agent.sqlite3"}"', "[server]\ntimeout_s = 3"]
    lines.append(f'device = "{named["device"]}"')
    if "http" in ways:
        lines.append(f'url = "http://127.0.0.1:{http}"\ntoken_file = "{folder / "token"}"')
    if "mqtt" in ways:
        lines.append(f'[mqtt]\nhost = "127.0.0.1"\nport = {mqtt}\ntls = false')
        lines.append(f'password_file = "{folder / "password"}"')
    return "\n".join(lines) + "\n"
