"""The bench that kills Blinklog and another gateway alike: it sees what is lost and doubled."""

import json
import sys
from pathlib import Path

import pytest

from bench.gateway import main as gateway

KILLS = 2
CARELESS = """
import json, sys, time, urllib.error, urllib.request, uuid
from pathlib import Path
sys.path.insert(0, {here!r})
from journal import Journal, enough, tell_idle

folder, port, pace_s = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
journal = Journal(folder)

def send(request):
    try:
        urllib.request.urlopen(request)
    except urllib.error.URLError:  # the server is still starting
        time.sleep(0.05)
        send(request)

while True:
    if not enough(folder):
        records = [str(uuid.uuid4()) for _ in range(3)]
        for copies, record in enumerate(records):
            for _ in range(copies):
                pack = json.dumps([{{"values": {{"id": record}}}}]).encode()
                address = f"http://127.0.0.1:{{port}}/telemetry"
                send(urllib.request.Request(address, pack, method="POST"))
        for record in records:
            journal.accepted(record)
    tell_idle(folder, True)
    time.sleep(pace_s)
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "UP_S", 0.3)
    monkeypatch.setattr(gateway, "QUIET_S", 2.0)


def test_what_a_careless_gateway_loses_and_doubles_is_counted(tmp_path: Path) -> None:
    script = tmp_path / "careless.py"
    script.write_text(CARELESS.format(here=str(gateway.HERE)))
    fault = "kill -9 of the device's process"
    row = gateway._row(
        "careless", fault, KILLS, 1, lambda *given: [sys.executable, str(script), *given]
    )
    assert row.records == row.arrived + row.lost
    assert 1 <= row.lost <= row.records // 3 + KILLS, "one of three is never sent"
    assert row.doubled >= row.records // 3, "and one is sent twice"
    assert row.lost_within_s is not None


def test_blinklog_loses_nothing_when_either_is_killed() -> None:
    row = gateway._row("Blinklog", "kill -9 of either", 3, 1, gateway._blinklog)
    assert row.records > 0
    assert (row.arrived, row.lost) == (row.records, 0)


def test_without_the_other_gateway_blinklog_s_rows_are_there_and_the_gap_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BLINKLOG_THINGSBOARD_GATEWAY_PYTHON", "/nowhere")
    assert gateway.main(["--kills", "1", "--json"]) == 0
    said = capsys.readouterr()
    rows = json.loads(said.out)
    assert [row["side"] for row in rows] == ["Blinklog"] * len(gateway.VICTIMS)
    assert "!! no ThingsBoard's gateway to compare with" in said.err
