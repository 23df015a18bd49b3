"""`blink-agent enrol`: what is said to the person who does it, and what is done afterwards."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from agent import config
from agent.cli import delivery
from agent.cli.doctor import contact
from agent.config import DEFAULT_FILE, AgentConfig
from agent.enrol.enrol import Enrolled, Wish, enrol
from agent.health.doctor import examine
from agent.system import systemd

CLOCKS_APART_S = 120.0


def run(options: argparse.Namespace) -> int:
    """Enrols; 0 once this device has its identity, whatever the first contact says."""
    file = _file(options.config)
    done = enrol(
        Wish(
            options.url,
            " ".join(options.code),
            file,
            ca=options.ca,
            mqtt_ca=options.mqtt_ca,
            insecure=options.insecure,
            again=options.again,
            same_person=options.same_person,
        ),
        lambda: _undelivered(config.load(file)),
    )
    print(f"This device is {done.identity.device}, {done.identity.label or 'without a name'}.")
    print(f"Written: {', '.join(map(str, done.files))}")
    _say_broker(done)
    _say_clock(done)
    settings = config.load(options.config)
    for result in examine(contact(settings)):
        if result.finding.state == "off":
            continue
        print(f"{result.name.capitalize()}: {result.finding.found}")
        if result.finding.mend:
            print(f"  {result.finding.mend}")
    if file == DEFAULT_FILE:
        print(f"Delivery: {systemd.restart(systemd.SYNC)}")
    else:
        print("Delivery: start blink-agent sync anew with this configuration")
    print("Next: press the button for a session; blink-agent status shows what becomes of it.")
    return 0


def _file(named: Path | None) -> Path:
    """The configuration that the other commands read."""
    return config.file_of(named).expanduser().absolute()


def _undelivered(settings: AgentConfig) -> int:
    try:
        settings.store_path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return 0
    with delivery.open_store(settings) as store:
        counts = store.counts()
    return counts["pending"] + counts["parked"]


def _say_broker(done: Enrolled) -> None:
    if done.broker is not None:
        print(f"Sessions go over the broker {done.broker.host}:{done.broker.port}, or over HTTP.")
    elif done.broker_problem is not None:
        print(f"Sessions go over HTTP: {done.broker_problem}.")
    else:
        print("Sessions go over HTTP: the server names no broker.")


def _say_clock(done: Enrolled) -> None:
    there = done.identity.server_time
    if there is None:
        return
    apart_s = (datetime.now(UTC) - there).total_seconds()
    if abs(apart_s) > CLOCKS_APART_S:
        late = "ahead of" if apart_s > 0 else "behind"
        print(f"This device's clock is {abs(apart_s):.0f} s {late} the server's: see timedatectl.")
