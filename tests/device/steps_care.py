"""What nobody is there for: a clock that is wrong, a service that hangs, upgrades, the end."""

import time
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.device.installation import wait_for
from tests.device.payload import BROKEN, NEXT
from tests.device.scene import CONFIG, PATIENCE_S, READY, STORE, Scene
from tests.device.sockets import LONG_PRESS_S, PRESS_S, DeviceError
from tests.device.witness import Witness

ZONE = ZoneInfo("Europe/Berlin")  # guest: see image.py
AWAY_DAYS = 3
APART_S = 30.0  # the press and the session's start, on a host with other work
WATCHDOG_S = 600.0  # silence, 20 s to be aborted, and a start
IMPATIENT = "/run/systemd/system/blinklog-sync.service.d"
INSTALL_S = 1800


def wrong_clock(scene: Scene) -> str:
    """Off for days, no network, no battery for the clock: what is measured gets its right day."""
    machine = scene.machine
    machine.run(
        "systemctl stop systemd-timesyncd && "
        f"touch -d '{AWAY_DAYS} days ago' /var/lib/systemd/timesync/clock && sync"
    )
    machine.cut()
    scene.boot(clock="2000-01-01T00:00:00", network=False)
    witness = Witness(machine, STORE)
    if not witness.ready.wait(PATIENCE_S):
        raise DeviceError(f"the store can't be read: {witness.trouble}")
    known, pressed = set(witness.rows), []
    for number in range(2):
        pressed.append(datetime.now(UTC))
        before = set(witness.rows)
        machine.lever.press(PRESS_S)
        witness.await_row(before, "active", PATIENCE_S)
        if number == 0:  # the other one is under way when the time comes
            time.sleep(4)
            machine.lever.press(LONG_PRESS_S + PRESS_S)
            witness.await_row(before, "ended", PATIENCE_S)
    wrong = [each for each in scene.kept() if each["session_id"] not in known]
    for each in wrong:
        if _moment(each["started_at"]).date() == datetime.now(UTC).date():
            raise DeviceError("expected a wrong clock, found today's date")
    machine.cable(plugged=True)
    machine.until("test -e /run/systemd/timesync/synchronized", "the time has come", PATIENCE_S)
    machine.lever.press(LONG_PRESS_S + PRESS_S)
    for each, at in zip(reversed(wrong), pressed, strict=True):
        _right_day(scene, each["session_id"], at)
    return f"first shown as {_moment(wrong[-1]['started_at']).date()}"


def _right_day(scene: Scene, session_id: str, pressed: datetime) -> None:
    def dated() -> dict[str, Any] | None:
        found = scene.sessions().get(session_id)
        if found is None or found["state"] != "ended":
            return None
        apart_s = abs((_moment(found["started_at"]) - pressed).total_seconds())
        return found if apart_s < APART_S else None

    found = wait_for(dated, f"{session_id} began at {pressed}", PATIENCE_S)
    day = _moment(found["ended_at"]).astimezone(ZONE).date().isoformat()
    if found["local_day"] != day or found["date_uncertain"]:
        raise DeviceError(f"expected the day {day}, and certainty; found {found}")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def hung_watch(scene: Scene) -> str:
    """systemd ends and restarts a watch that hangs in a session; the session is delivered."""
    session_id = scene.begin_by_button()
    seconds = _restarted_by_watchdog(scene, "blinklog-watch")
    scene.machine.until(READY, "blinklog-watch is ready", PATIENCE_S)
    scene.await_state(session_id, "interrupted")
    return f"restarted after {seconds:.0f} s"


def hung_sync(scene: Scene) -> str:
    """systemd ends and restarts a sync that hangs, and what was measured is delivered. Its own
    180 s of patience would be three minutes of waiting here."""
    known = {each["session_id"] for each in scene.kept()}
    write = (
        f"mkdir -p {IMPATIENT} && printf '[Service]\\nWatchdogSec=45\\n' > {IMPATIENT}/test.conf"
    )
    scene.machine.run(f"{write} && systemctl daemon-reload && systemctl restart blinklog-sync")
    scene.machine.lever.press(PRESS_S)
    seconds = _restarted_by_watchdog(scene, "blinklog-sync")
    [session] = [each for each in scene.kept() if each["session_id"] not in known]
    scene.end_by_button(session["session_id"])
    return f"restarted after {seconds:.0f} s"


def usb_camera(scene: Scene) -> str:
    """The kernel's own test camera stands in for a USB one: seen through the unit's sandbox,
    unplugged in a session, and plugged in again."""
    machine, driver = scene.machine, "/sys/bus/platform/drivers/vivid"
    machine.run("modprobe vivid n_devs=1 node_types=1 && udevadm settle && test -e /dev/video0")
    machine.run(f"cp {CONFIG} /run && sed -i 's/^source = .*/source = \"usb\"/' {CONFIG}")
    _restart_watch(scene)
    session_id = scene.begin_by_button()
    scene.await_measured(session_id, 2)
    machine.run(f"echo vivid.0 > {driver}/unbind")
    scene.await_state(session_id, "ended")
    unplugged = scene.server.session(session_id)
    if unplugged["ended_by"] != "camera_fault" or not unplugged["frames"]:
        raise DeviceError(f"expected frames and then a camera's fault, found {unplugged}")
    machine.until(f"! {READY}", "blinklog-watch waits for its camera", PATIENCE_S)
    machine.run(f"echo vivid.0 > {driver}/bind")
    machine.until(READY, "blinklog-watch has its camera again", PATIENCE_S)
    session = scene.end_by_button(scene.begin_by_button())
    if session["ended_by"] != "button" or session["camera"]["source"] != "usb":
        raise DeviceError(f"expected another session of the USB camera, found {session}")
    machine.run(f"cp /run/agent.toml {CONFIG}")
    _restart_watch(scene)
    machine.run("modprobe -r vivid")
    return f"{unplugged['frames']} frames, then {session['frames']}"


def _restart_watch(scene: Scene) -> None:
    scene.machine.run("systemctl restart blinklog-watch", PATIENCE_S)
    scene.machine.until(READY, "blinklog-watch is ready", PATIENCE_S)


def _restarted_by_watchdog(scene: Scene, unit: str) -> float:
    """Stops the service's process; the seconds until there is another one."""
    restarts = int(scene.machine.run(f"systemctl show -P NRestarts {unit}"))
    scene.machine.run(f"kill -STOP $(systemctl show -P MainPID {unit})")
    begun = time.monotonic()
    again = f"test $(systemctl show -P NRestarts {unit}) -gt {restarts}"
    scene.machine.until(again, f"{unit} is restarted", WATCHDOG_S)
    return time.monotonic() - begun


def upgrade(scene: Scene) -> str:
    """The next release, beside the one before; the sessions are still there."""
    kept = len(scene.kept())
    _install(scene, "next")
    found = scene.agent("--version").strip()
    if NEXT not in found or len(scene.kept()) != kept:
        raise DeviceError(
            f"expected {NEXT} and {kept} sessions, found {found}, {len(scene.kept())}"
        )
    session = scene.end_by_button(scene.begin_by_button())
    if session["agent"]["version"] != NEXT:
        raise DeviceError(f"expected a session measured by {NEXT}, found {session['agent']}")
    return found


def failing_upgrade(scene: Scene) -> str:
    """A release whose service does not stand is not kept: the one before goes on by itself."""
    before = scene.agent("--version")
    try:
        _install(scene, "broken")
    except DeviceError as error:
        (scene.folder / "failing-upgrade.log").write_text(str(error))
    else:
        raise DeviceError("a release whose service does not stand was installed")
    scene.machine.until(READY, "blinklog-watch is ready", PATIENCE_S)
    found = scene.agent("--version")
    current = scene.machine.run("readlink -f /opt/blinklog/current").strip()
    if found != before or BROKEN in current:
        raise DeviceError(f"expected {before} again, found {found} in {current}")
    scene.end_by_button(scene.begin_by_button())
    return f"{found.strip()} still runs"


def uninstall(scene: Scene) -> str:
    """Nothing of it runs or is left, but the data where that was asked for."""
    machine = scene.machine
    machine.run("/opt/blinklog/current/deploy/install.sh --uninstall --keep-data", PATIENCE_S)
    machine.run(f"test -e {STORE} && ! test -e /opt/blinklog")
    left = machine.try_to("systemctl list-unit-files --no-legend 'blinklog*' | grep -v ^$")[1]
    if left:
        raise DeviceError(f"expected no units, found {left}")
    machine.run("bash /mnt/first/install.sh --uninstall --delete-data", PATIENCE_S)
    machine.run("! test -e /var/lib/blinklog && ! test -e /etc/blinklog && ! id blinklog")
    return "with the data kept, then without"


def _install(scene: Scene, house: str) -> None:
    command = f"cd /mnt/{house} && BLINKLOG_START_S=300 ./install.sh"
    said = scene.machine.run(command, INSTALL_S)
    (scene.folder / f"install-{house}.log").write_text(said)
