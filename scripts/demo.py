"""`./demo`: see `demo_options` for what it does."""

import argparse
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from scripts import demo_options
from scripts.made_up import Life, documents, of_today
from scripts.portrait import demo_schedule, load_portrait, write_video
from scripts.processes import DemoError, Processes, broker_configuration, free_port

BIN = Path(sys.executable).parent
PERSON, CAREGIVER, ZONE = "eileen", "carla", "Europe/Berlin"
EILEEN = Life("eileen", "Eileen", "", ZONE, 14.2, 0.31, 0.015, days=90)
MADE_UP = "Made-up sessions"
SLACK_S = 5.0  # open eyes after the last blink, in which the session is ended


def main() -> int:
    """Runs the demo; returns its exit status."""
    options = demo_options.read()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's & has it ignored
    folder = Path(tempfile.mkdtemp(prefix="blinklog-demo-"))
    try:
        with Processes(folder) as processes:
            return Demo(options, folder, processes).run()
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Demo:
    """The demo, step by step."""

    def __init__(self, options: argparse.Namespace, folder: Path, processes: Processes) -> None:
        self.options = options
        self.folder = folder
        self.processes = processes
        self.password = secrets.token_urlsafe(9)
        self.broker: dict[str, Any] | None = None
        self.base = f"http://127.0.0.1:{free_port(0 if options.once else 8000)}"
        self.server_env = {
            "BLINKLOG_DATA_DIR": str(folder / "server"),
            "BLINKLOG_ALLOWED_HOSTS": "127.0.0.1,localhost",
            "BLINKLOG_HTTPS": "0",
            "DATABASE_URL": f"sqlite:///{folder / 'server' / 'blinklog.sqlite3'}",
        }
        self.truth: int | None = None

    def run(self) -> int:
        """All of it."""
        self.eyes()
        self.start_broker()
        self.start_server()
        self.make_up_a_history()
        self.start_device()
        session = self.watch_a_session()
        return self.report(session)

    # Getting ready

    def eyes(self) -> None:
        """Decides what the device looks at."""
        self.camera: dict[str, Any] = {"source": "replay"}
        self.seconds = self.options.seconds
        if self.options.camera:
            self.camera = {"source": "usb"}
        elif self.options.video is not None:
            self.camera["file"] = str(self.options.video.resolve())
        else:
            self.camera["file"] = str(self._portrait())

    def _portrait(self) -> Path:
        say("making a video of a blinking portrait")
        path = self.folder / "portrait.avi"
        schedule = demo_schedule(self.seconds)
        write_video(path, load_portrait(), schedule, seconds=self.seconds + SLACK_S, fps=30)
        self.truth = len(schedule)
        step(f"it will blink {self.truth} times in {self.seconds:.0f} s")
        return path

    def start_broker(self) -> None:
        """A Mosquitto with the product's own configuration, or none."""
        program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None or os.environ.get("BLINKLOG_DEMO_BROKER") == "none":
            say("no broker here: using HTTP only")
            return
        say("starting the broker")
        self.broker = {
            "program": program,
            "port": free_port(0),
            "server_password": secrets.token_urlsafe(24),
            "device_password": secrets.token_urlsafe(24),
        }
        user = "blinklog-server"
        self.server_env["BLINKLOG_MQTT_URL"] = f"mqtt://{user}@127.0.0.1:{self.broker['port']}"
        self.server_env["BLINKLOG_MQTT_PASSWORD_FILE"] = str(
            self._secret("mqtt-server", self.broker["server_password"])
        )

    def start_server(self) -> None:
        """Database, people, device, and the server's processes."""
        say("starting the server")
        (self.folder / "server").mkdir()
        self.server("migrate")
        password = self._secret("person", self.password)
        for name in (PERSON, CAREGIVER):
            self.server("create-person", name, "--password-file", str(password), "--timezone", ZONE)
        self.server("link", CAREGIVER, PERSON)
        self.device = self.server(
            "create-device", "--person", PERSON, "--name", "Demo", "--json", answers=True
        )
        if self.broker is not None:
            self._run_broker(self.broker)
        bind = self.base.removeprefix("http://")
        self.processes.start(
            "server", BIN / "blink-server", "serve", "--bind", bind, env=self.server_env
        )
        if self.broker is not None:
            self.processes.start("consumer", BIN / "blink-server", "consume", env=self.server_env)
        self.processes.wait_for("the server", lambda: self._get("/readyz").ok, 60)
        login = {"username": CAREGIVER, "password": self.password}
        answer = requests.post(f"{self.base}/api/auth/token/", json=login, timeout=10)
        answer.raise_for_status()
        self.token = answer.json()["token"]
        step(f"{self.base} answers")

    def make_up_a_history(self) -> None:
        """Fill the person's history with made-up sessions, from a device that is named so."""
        say(f"making up {EILEEN.days} days of sessions for the pages to show")
        device = self.server(
            "create-device", "--person", PERSON, "--name", MADE_UP, "--json", answers=True
        )
        now = datetime.now(UTC)
        made_up = [*documents(EILEEN, now), *of_today(EILEEN, now)]
        with requests.Session() as http:
            http.headers["Authorization"] = f"Bearer {device['token']}"
            for document in made_up:
                document["agent"]["version"] = "made-up"
                url = f"{self.base}/api/session/{document['session_id']}/"
                http.put(url, json=document, timeout=10).raise_for_status()
        step(f'{len(made_up)} made-up sessions, all from the device "{MADE_UP}"')

    def start_device(self) -> None:
        """The device's two processes."""
        say("starting the device")
        config = self.folder / "agent.toml"
        config.write_text(toml(self._agent_config()))
        for name in ("watch", "sync"):
            self.processes.start(
                name, BIN / "blink-agent", "--config", config, name, env={"TZ": ZONE}
            )
        self.agent = [BIN / "blink-agent", "--config", config]
        self.processes.wait_for("the device", self._device_is_ready, 60)
        step("it is ready and waits for the button")

    def _agent_config(self) -> dict[str, dict[str, Any]]:
        config: dict[str, dict[str, Any]] = {
            "camera": self.camera,
            "session": {"checkpoint_s": 3, "trust_clock": True},  # whoever runs it vouches for it
            "controls": {"pins": "mock"},
            "store": {"path": str(self.folder / "agent.sqlite3")},
            "server": {
                "url": self.base,
                "device": self.device["device"],
                "token_file": str(self._secret("device", self.device["token"])),
            },
        }
        if self.broker is not None:
            config["mqtt"] = {
                "host": "127.0.0.1",
                "port": self.broker["port"],
                "tls": False,
                "password_file": str(self._secret("mqtt-device", self.broker["device_password"])),
            }
        return config

    def _run_broker(self, broker: dict[str, Any]) -> None:
        users = {
            "blinklog-server": broker["server_password"],
            self.device["device"]: broker["device_password"],
        }
        folder = self.folder / "broker"
        config = broker_configuration(folder, broker["port"], users)
        self.processes.start("broker", broker["program"], "-c", config, env={})

    # The session

    def watch_a_session(self) -> dict[str, Any]:
        """Presses the button, waits, ends the session; returns it as the caregiver reads it."""
        say("pressing the button")
        self.press(0.1)
        pressed = time.monotonic()
        session = self.processes.wait_for("the session's start", self._session_in("active"), 30)
        step(f"active in the history after {time.monotonic() - pressed:.1f} s: {session['id']}")
        say(f"watching for {self.seconds:.0f} s")
        self._watch(pressed + self.seconds + 1)
        say("holding the button down: the session ends")
        self.press(1.7)
        return dict(self.processes.wait_for("the final metrics", self._session_in("ended"), 60))

    def _watch(self, until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            self.processes.check()
            session = self._newest()
            if session["state"] != "active":  # a short video ends by itself
                return
            blinks = session["blink_count"]
            step(f"{left:4.0f} s to go, {'no' if blinks is None else blinks} blinks so far")
            time.sleep(min(2.0, max(0.0, left)))

    def press(self, seconds: float) -> None:
        """Holds the mock button down for so long."""
        watch = next(process for name, process in self.processes.running if name == "watch")
        watch.send_signal(signal.SIGUSR1)
        time.sleep(seconds)
        watch.send_signal(signal.SIGUSR2)

    # What came of it

    def report(self, session: dict[str, Any]) -> int:
        """Prints the history and the counts; stays until Ctrl-C unless told otherwise."""
        say(f"GET /api/session/history/?user={PERSON}&limit=1")
        print(json.dumps(self._history(limit="1"), indent=2))
        measured = session["blink_count"]
        say("the result")
        step(f"blinks: {'unknown' if self.truth is None else self.truth} true, {measured} measured")
        took = parsed(session["updated_at"]) - parsed(session["ended_at"])
        step(f"delivery: {took.total_seconds():.2f} s from the end on the device to the history")
        step(f"dashboard: {self.base}/ - log in as {CAREGIVER} with {self.password}")
        good = measured is not None and self.truth in (None, measured)
        if not good:
            step("the counts do not agree")
        if not self.options.once:
            say("the server keeps running until Ctrl-C")
            with contextlib.suppress(KeyboardInterrupt):
                while True:
                    self.processes.check()
                    time.sleep(0.5)
        return 0 if good else 1

    # Asking

    def server(self, *arguments: str, answers: bool = False) -> Any:
        """Runs a blink-server command; its JSON where it answers with one."""
        done = subprocess.run(
            [BIN / "blink-server", *arguments],
            env={**os.environ, **self.server_env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise DemoError(f"blink-server {arguments[0]} failed:\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout) if answers else None

    def _get(self, path: str, **parameters: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if hasattr(self, "token") else {}
        return requests.get(self.base + path, params=parameters, headers=headers, timeout=10)

    def _history(self, **parameters: str) -> dict[str, Any]:
        answer = self._get("/api/session/history/", user=PERSON, **parameters)
        if not answer.ok:
            words = self.processes.words("server")
            raise DemoError(f"the history: status {answer.status_code}: {answer.text}\n{words}")
        return dict(answer.json())

    def _newest(self) -> dict[str, Any]:
        results = self._history()["results"]
        return dict(results[0]) if results else {"state": "none"}

    def _session_in(self, state: str) -> Callable[[], dict[str, Any] | None]:
        def ask() -> dict[str, Any] | None:
            newest = self._newest()
            return newest if newest["state"] == state else None

        return ask

    def _device_is_ready(self) -> bool:
        done = subprocess.run(
            [*self.agent, "status", "--json"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        watch = json.loads(done.stdout)["watch"] if done.returncode == 0 else None
        return bool(watch and watch["state"] == "ready")

    def _secret(self, name: str, text: str) -> Path:
        path = self.folder / f"{name}.secret"
        path.touch(mode=0o600)
        path.write_text(text)
        return path


def parsed(moment: str) -> datetime:
    """A moment as the history writes it."""
    return datetime.fromisoformat(moment)


def toml(sections: dict[str, dict[str, Any]]) -> str:
    """Texts, numbers and truths as TOML; JSON writes these alike."""
    return "".join(f"[{name}]\n{_lines(section)}\n" for name, section in sections.items())


def _lines(section: dict[str, Any]) -> str:
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in section.items())


def say(text: str) -> None:
    """A step begins."""
    print(f"\n== {text}", flush=True)


def step(text: str) -> None:
    """Something happened in it."""
    print(f"   {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
