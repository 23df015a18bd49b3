"""A box becomes a device by a code, against the real server and broker, and delivers both ways."""

import contextlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.enrol.authority import fingerprint
from agent.enrol.join import Joining
from agent.enrol.toml_edit import Changes, with_keys
from agent.store.store import Store
from agent.system.handover import Requests
from tests.broker import needs_mosquitto
from tests.e2e.installation import Installation, running_installation

pytestmark = [pytest.mark.needs_broker, needs_mosquitto]
GOLDEN = Path(__file__).resolve().parent.parent / "golden"
NOBODY = 9  # discard(9): a port where nobody listens


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with running_installation(tmp_path_factory.mktemp("enrol")) as running:
        yield running


def keep(store: Path) -> str:
    """A session that waits in the store; its id."""
    document: dict[str, Any] = json.loads((GOLDEN / "final.json").read_text())
    document["session_id"] = str(uuid.uuid4())
    with contextlib.closing(Store(store)) as opened:
        opened.put(document)
    return str(document["session_id"])


def arrived(installed: Installation, session_id: str) -> dict[str, Any] | None:
    return next((each for each in installed.history() if each["id"] == session_id), None)


def test_a_code_makes_a_box_a_device_that_delivers_both_ways(installed: Installation) -> None:
    folder = installed.folder / "box"
    folder.mkdir()
    file, store = folder / "agent.toml", folder / "agent.sqlite3"
    written = f'# in the kitchen\n[store]\npath = "{store}"\n[controls]\npins = "none"\n'
    file.write_text(written)
    before = keep(store)

    made = installed.server("claim-code", "--person", "anna", "--label", "Kitchen", "--json")
    trust = ("--mqtt-ca", str(installed.broker.ca_file))
    wrong = installed.agent(file, "enrol", installed.url, "ABCD2345", *trust)
    assert wrong.returncode == 1
    assert "the server refuses the code: the code is unknown" in wrong.stderr
    assert file.read_text() == written

    done = installed.agent(file, "enrol", installed.url, made["code"].lower(), *trust)
    assert done.returncode == 0, done.stderr
    assert "Kitchen" in done.stdout
    assert "accepts this device's token" in done.stdout
    assert "accepts this device, over TLS" in done.stdout
    assert "# in the kitchen" in file.read_text()
    assert installed.agent(file, "sync", "--once").returncode == 0
    session = arrived(installed, before)
    assert session is not None
    assert session["device"]["label"] == "Kitchen"

    again = installed.agent(file, "enrol", installed.url, made["code"], *trust, "--again")
    assert again.returncode == 1
    assert installed.agent(file, "sync", "--once").returncode == 0

    enrolled = file.read_text()
    ways: dict[str, Changes] = {
        "MQTT": {"server": {"url": f"http://127.0.0.1:{NOBODY}"}},
        "HTTP": {"mqtt": {"port": NOBODY}},
    }
    for way, elsewhere in ways.items():
        file.write_text(with_keys(enrolled, elsewhere))
        kept = keep(store)
        assert installed.agent(file, "sync", "--once").returncode == 0, way
        assert arrived(installed, kept), way

    file.write_text(enrolled)
    checks = {
        each["check"]: each["state"]
        for each in json.loads(installed.agent(file, "doctor", "--json").stdout)["checks"]
    }
    assert [checks[name] for name in ("credentials", "broker", "server")] == ["ok"] * 3


def test_a_code_with_the_broker_s_fingerprint_is_all_that_a_device_needs(
    installed: Installation,
) -> None:
    """As the camera reads it: no certificate is carried to the device."""
    folder = installed.folder / "shown"
    folder.mkdir()
    file, store = folder / "agent.toml", folder / "agent.sqlite3"
    file.write_text(f'[store]\npath = "{store}"\n[controls]\npins = "none"\n')
    before = keep(store)
    made = installed.server("claim-code", "--person", "anna", "--label", "Hall", "--json")
    broker = fingerprint(installed.broker.ca_file.read_text())
    text = f"blinklog:1;U:{installed.url};C:{made['code'].replace('-', '')};B:{broker}"
    requests = Requests(folder / "requests", folder)
    (folder / "requests").mkdir()
    request_id = requests.send(text)
    Joining(
        file,
        count_unsent=lambda: 1,
        enrolled=lambda: None,
        requests=folder / "requests",
        answers=folder,
        profiles=folder / "profiles",
        boot_folders=(),
    ).run()
    answer = requests.answer(request_id)
    assert answer is not None
    assert answer.outcome == "enrolled", answer.problem
    assert installed.agent(file, "sync", "--once").returncode == 0
    session = arrived(installed, before)
    assert session is not None
    assert session["device"]["label"] == "Hall"
    checks = {
        each["check"]: each["state"]
        for each in json.loads(installed.agent(file, "doctor", "--json").stdout)["checks"]
    }
    assert [checks[name] for name in ("credentials", "broker", "server")] == ["ok"] * 3
