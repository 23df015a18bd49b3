"""The bench that kills and cuts off Blinklog and another gateway sees what becomes of records."""

import json
import sys
from pathlib import Path

import pytest

from bench.gateway import cuts, kills
from bench.gateway import main as gateway
from bench.gateway.rows import Entry, Row, entries, table
from bench.gateway.sides import BLINKLOG, HERE, Side
from bench.powercuts.recording import unavailable

needs_fuse = pytest.mark.skipif(unavailable() is not None, reason=unavailable() or "")

KILLS = 2
CARELESS = """
import json, os, sys, time, urllib.error, urllib.request, uuid
from pathlib import Path
sys.path.insert(0, {here!r})
from journal import Journal, checksum, enough, tell_idle

def send(port, content):
    pack = json.dumps([{{"values": content}}]).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{{port}}/telemetry", pack, method="POST")
    try:
        urllib.request.urlopen(request)
    except urllib.error.URLError:  # the server is still starting
        time.sleep(0.05)
        send(port, content)

def main(control, data, port, pace_s):
    journal = Journal(control)
    while True:
        if not enough(control):
            kept = [dict(id=str(uuid.uuid4()), number=number) for number in range(3)]
            for number, content in enumerate(kept):
                journal.accepted(content["id"], content)
                for _ in range(number):
                    send(port, content)
                    journal.delivered(content["id"])
                send(port, {{**kept[2], "number": 0}})
            with (data / "records").open("a") as file:
                file.writelines(json.dumps(each) + chr(10) for each in kept)
        tell_idle(control, True)
        time.sleep(pace_s)

if sys.argv[1] != "read":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], float(sys.argv[4]))
for folder in sys.argv[2:]:
    lines = (Path(folder) / "records").read_text().splitlines()  # whole ones
    kept = [json.loads(each) for each in lines]
    waiting = {{each["id"]: checksum(each) for each in kept if each["number"] == 1}}
    print(json.dumps(dict(waiting=waiting, goes_on=True)), flush=True)
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kills, "UP_S", 0.3)
    monkeypatch.setattr(kills, "QUIET_S", 2.0)
    monkeypatch.setattr(cuts, "RUN_S", 1.0)


@pytest.fixture
def careless(tmp_path: Path) -> Side:
    """Of three records it sends none, one once, and one twice, which it also sends changed."""
    script = tmp_path / "careless.py"
    script.write_text(CARELESS.format(here=str(HERE)))
    return Side("careless", (sys.executable, str(script)))


def test_what_a_careless_gateway_loses_doubles_and_changes_is_counted(careless: Side) -> None:
    row = kills.killed(careless, "kill -9 of the device's process", KILLS, 1)
    assert row.records == row.arrived + row.lost
    assert 1 <= row.lost <= row.records // 3 + KILLS, "one of three is never sent"
    assert row.again >= row.records // 3, "and one is sent twice"
    assert 1 <= row.doubled < row.again, "the second time after it had been recorded as delivered"
    assert row.wrong >= row.records // 3
    assert row.lost_within_s is not None
    assert not row.clean


def test_blinklog_loses_nothing_when_either_is_killed() -> None:
    row = kills.killed(BLINKLOG, "kill -9 of either", 3, 1)
    assert row.records > 0
    assert row.arrived == row.records
    assert row.clean


def test_a_process_that_ends_by_itself_could_not_open(tmp_path: Path) -> None:
    script = tmp_path / "ends.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "from pathlib import Path; from journal import Journal\n"
        "Journal(Path(sys.argv[1])).accepted('a', {})\n"
    )
    with kills._running(Side("ends", (sys.executable, str(script)))) as processes:
        processes._processes["device"].wait(60)
        assert processes.lines("journal")
        assert not processes.kill("device")


def test_without_the_other_gateway_blinklog_s_rows_are_there_and_the_gap_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BLINKLOG_THINGSBOARD_GATEWAY_PYTHON", "/nowhere")
    assert gateway.main(["--kills", "1", "--cuts", "0", "--json"]) == 0
    said = capsys.readouterr()
    rows = json.loads(said.out)
    assert [row["side"] for row in rows] == ["Blinklog"] * len(kills.VICTIMS)
    assert "!! no ThingsBoard's gateway to compare with" in said.err


# Power cuts


@needs_fuse
@pytest.mark.parametrize("fault", cuts.FAULTS)
def test_blinklog_loses_nothing_when_the_power_is_cut(fault: str) -> None:
    row = cuts.recorded_and_cut(cuts.Task(BLINKLOG, fault, 10, "of the tests"))
    assert row.cuts == 10
    assert row.records > 0
    assert row.arrived == row.records
    assert row.clean


@needs_fuse
def test_a_storage_that_does_not_wait_for_the_disk_loses_records(careless: Side) -> None:
    fault = next(iter(cuts.FAULTS))
    row = cuts.recorded_and_cut(cuts.Task(careless, fault, 12, "of the tests"))
    assert row.cuts == 12
    assert row.records == row.arrived + row.lost
    assert row.lost
    assert row.could_not_open, "its file is not there yet, or has half a line"


JOURNAL = [
    Entry("accepted", "kept", 1.0, "c1"),
    Entry("accepted", "sent", 2.0, "c2"),
    Entry("arrived", "sent", 3.0, "c2"),
    Entry("accepted", "done", 3.0, "c3"),
    Entry("arrived", "done", 4.0, "c3"),
    Entry("delivered", "done", 5.0, "-"),
    Entry("accepted", "gone", 6.5, "c4"),
]
EVER = {"kept": "c1", "sent": "c2", "done": "c3", "gone": "c4", "later": "c5"}


def compared(left: cuts.Left | None) -> Row:
    row = Row("a", "b")
    cuts._compare(row, [*JOURNAL, Entry("arrived", "else", 7.0, "")], left, EVER)
    return row


def test_what_a_cut_left_is_told_apart() -> None:
    waiting = {"kept": "c1", "sent": "c2", "done": "c3"}
    row = compared({"waiting": waiting, "goes_on": True})
    assert (row.cuts, row.records, row.arrived, row.lost) == (1, 4, 3, 1)
    assert row.lost_within_s == 0.5
    assert (row.again, row.doubled) == (2, 1), "one in flight, and one that was recorded as there"
    assert (row.wrong, row.could_not_open) == (0, 0)
    changed = compared({"waiting": {"kept": "c9", "never": "c0"}, "goes_on": False})
    assert (changed.wrong, changed.could_not_open) == (2, 1)
    unopened = compared(None)
    assert (unopened.lost, unopened.could_not_open) == (2, 1)


def test_rows_add_up_and_are_shown() -> None:
    one, other = compared(None), compared(None)
    one.add(other)
    assert (one.cuts, one.records, one.lost, one.could_not_open) == (2, 8, 4, 2)
    assert one.lost_within_s == 6.0
    clean = Row("c", "d", kills=1)
    clean.add(Row("c", "d", kills=2))
    assert clean.clean
    assert clean.lost_within_s is None
    assert "accepted at most 6.00 s before" in table([one, clean])


def test_half_a_line_of_the_journal_is_left_out() -> None:
    assert entries(["accepted a 1.500 c1", "accepted b 2", "start"]) == [
        Entry("accepted", "a", 1.5, "c1")
    ]
