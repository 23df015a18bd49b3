"""`blink-agent enrol`: register the device, report the result, and restart delivery."""

import argparse
import contextlib
from datetime import UTC, datetime
from pathlib import Path

from agent import config
from agent.cli import delivery
from agent.cli.doctor import network_checks
from agent.config import DEFAULT_FILE, AgentConfig
from agent.enrol.enrol import Enrolled, EnrolRequest, enrol
from agent.errors import StoreError
from agent.health.doctor import examine
from agent.system import systemd
from agent.system.owner import acting_as_owner

MAX_OFFSET_S = 120.0


def run(options: argparse.Namespace) -> int:
    """Enrol this device. Return 0 once it has its identity, even if the first contact fails."""
    file = config_file(options.config)
    done = enrol(
        EnrolRequest(
            options.url,
            " ".join(options.code),
            file,
            ca=options.ca,
            mqtt_ca=options.mqtt_ca,
            ca_fingerprint=options.ca_fingerprint,
            mqtt_ca_fingerprint=options.mqtt_ca_fingerprint,
            insecure=options.insecure,
            again=options.again,
            same_person=options.same_person,
        ),
        lambda: undelivered(config.load(file)),
    )
    print(f"This device is {done.identity.device} ({done.identity.label or 'unnamed'}).")
    print(f"Written: {', '.join(map(str, done.files))}")
    _print_transport(done)
    _print_clock(done)
    if done.key_problem is not None:
        print(f"Updates: {done.key_problem}.")
    settings = config.load(options.config)
    if options.again and not options.same_person:
        forget_check(settings)
    for result in examine(network_checks(settings)):
        if result.finding.state == "off":
            continue
        print(f"{result.name.capitalize()}: {result.finding.found}")
        if result.finding.hint:
            print(f"  {result.finding.hint}")
    if file == DEFAULT_FILE:
        print(f"Delivery: {systemd.restart(systemd.SYNC)}")
    else:
        print("Delivery: restart blink-agent sync with this configuration")
    print("Next: press the button to start a session; blink-agent status shows its delivery.")
    return 0


def config_file(named: Path | None) -> Path:
    """Return the configuration file, which is the one that the other commands read."""
    return config.file_of(named).expanduser().absolute()


def undelivered(settings: AgentConfig) -> int:
    """Count the sessions in the store that the server does not have."""
    try:
        settings.store_path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return 0
    with delivery.open_store(settings) as store:
        counts = store.counts()
    return counts["pending"] + counts["parked"]


def forget_check(settings: AgentConfig) -> None:
    """Forget the last check of the counting: it is of the former person."""
    with contextlib.suppress(StoreError):  # the device is enrolled, whatever its store does
        with acting_as_owner(settings.store_path):  # root has few capabilities in `join`
            exists = settings.store_path.exists()
        if exists:
            with delivery.open_store(settings) as store:
                store.note("check", None)


def _print_transport(done: Enrolled) -> None:
    if done.broker is not None:
        print(f"Sessions are sent to the broker {done.broker.host}:{done.broker.port}, or by HTTP.")
    elif done.broker_problem is not None:
        print(f"Sessions are sent by HTTP: {done.broker_problem}.")
    else:
        print("Sessions are sent by HTTP: the server has no broker.")


def _print_clock(done: Enrolled) -> None:
    server_time = done.identity.server_time
    if server_time is None:
        return
    offset_s = (datetime.now(UTC) - server_time).total_seconds()
    if abs(offset_s) > MAX_OFFSET_S:
        side = "ahead of" if offset_s > 0 else "behind"
        print(f"This device's clock is {abs(offset_s):.0f} s {side} the server's: see timedatectl.")
