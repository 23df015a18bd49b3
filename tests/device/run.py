"""Shows, on an emulated device, all that a real one has to do by itself: one line each."""

import argparse
import contextlib
import hashlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.device import host, steps_care, steps_everyday, steps_new, steps_power, steps_updates
from tests.device.image import Image, image
from tests.device.installation import running_server
from tests.device.machine import Machine, machine, pack
from tests.device.payload import gather
from tests.device.scene import Scene
from tests.device.sockets import DeviceError


@dataclass(frozen=True, slots=True)
class Shown:
    """A line: its name, what it promises, and what shows it."""

    name: str
    promise: str
    show: Callable[[Scene], str]


INSTALL = Shown("install", "installed from a wheel house, offline", steps_everyday.install)
PREPARED = [
    Shown("boot", "from power on to ready", steps_everyday.boot_to_ready),
    Shown("enrol", "enrolled by a code", steps_everyday.enrol),
]
DAY = [
    *PREPARED,
    Shown("press", "short press starts a session", steps_everyday.press),
    Shown(
        "long-press", "long press ends it; final numbers in the history", steps_everyday.long_press
    ),
    Shown("same-blinks", "recording measured as on x86-64", steps_everyday.same_blinks),
    Shown("cut", "power cut in a session, delivered as interrupted", steps_power.cut_in_session),
    Shown("upgrade", "upgraded, sessions kept", steps_care.upgrade),
    Shown("failing-upgrade", "failed upgrade is rolled back", steps_care.failing_upgrade),
    Shown("uninstall", "uninstalled", steps_care.uninstall),
]
NIGHT = [
    *PREPARED,
    Shown("cuts", "power cuts while sessions end, none is lost", steps_power.many_cuts),
    Shown("hung-watch", "a hung watch is restarted", steps_care.hung_watch),
    Shown("wrong-clock", "wrong clock without network, date corrected", steps_care.wrong_clock),
    Shown("usb-camera", "a USB camera, unplugged and back again", steps_care.usb_camera),
    Shown("hung-sync", "a hung sync is restarted", steps_care.hung_sync),
]
NEW = [
    Shown("codes", "new device, enrolled with two codes", steps_new.shown_codes),
    Shown(
        "boot-file", "new device, enrolled with a file on the boot partition", steps_new.boot_file
    ),
    Shown("picamera2", "picamera2 and libcamera themselves", steps_new.picamera2),
]
UPDATED = [
    *PREPARED,
    Shown("update", "update from the server's page", steps_updates.update),
    Shown("bad-updates", "bad updates leave the old release", steps_updates.bad_updates),
]
# Whose device, where it hangs, and what it shows. The first one is installed, and the others' disks
# are copies of its own. Two at a time: more would only take the others' share of two cores.
PLAYS = [
    ("anna", "Kitchen", DAY),
    ("berta", "Hall", NIGHT),
    ("dora", "Bedroom", NEW),
    ("emma", "Study", UPDATED),
]
AT_ONCE = 2
UPGRADES = {"upgrade", "failing-upgrade", "update", "bad-updates"}
NAMES = dict.fromkeys(each.name for each in (INSTALL, *DAY, *NIGHT, *NEW, *UPDATED))
Made = TypeVar("Made")


def main() -> int:
    """The exit status: 0 where all that was asked for has been shown."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all is switched off
    if unknown := set(options.only) - set(NAMES):
        say(f"expected names out of {', '.join(NAMES)}; found {', '.join(unknown)}")
        return 2
    begun = time.monotonic()
    with _folder(options.keep) as folder:
        try:
            with _scenes(folder, options) as (scenes, installed):
                results = list(_install(scenes[0], installed, options.only))
                if all(results):
                    wanted = [_wanted(shown, options.only) for _, _, shown in PLAYS]
                    results += _at_once(scenes, wanted, installed)
        except (host.HostError, DeviceError, AssertionError) as error:
            say(f"could not begin: {error}")
            return 2
        failed = results.count(False)
        say(f"{len(results) - failed} shown, {failed} failed, {time.monotonic() - begun:.0f} s")
        if failed and not options.keep:
            kept = shutil.copytree(folder, _logs(), ignore=_large, dirs_exist_ok=True)
            say(f"serial consoles and logs: {kept}")
    return int(failed > 0)


def say(line: str) -> None:
    """A line for whoever runs this, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/device/run", description=__doc__)
    about = "only these, and what they need; once or more"
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help=about)
    fewer = "power cuts in place of ten, where the host is busy"
    parser.add_argument("--cuts", type=int, default=10, metavar="N", help=fewer)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="a new folder for disk and logs")
    return parser.parse_args()


def cache() -> Path:
    """Where images are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "blinklog" / "device"


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="blinklog-device-") as folder:
            yield Path(folder)
    else:
        keep.mkdir(parents=True)
        yield keep.resolve()


@contextlib.contextmanager
def _scenes(folder: Path, options: argparse.Namespace) -> Iterator[tuple[list[Scene], Path]]:
    """The devices, not switched on yet, and where the disk of an installed one is or will be."""
    host.prepare()
    made = _timed("the device's image", lambda: image(cache()))
    for each in ("server", "payload"):
        (folder / each).mkdir()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running_server(folder / "server"))
        ca_file = server.broker.ca_file
        upgrades = not options.only or bool(set(options.only) & UPGRADES)
        payload = _timed(
            "wheel houses and videos",
            lambda: gather(folder / "payload", ca_file, upgrades=upgrades),
        )
        pack(payload, disk := folder / "payload.img")
        installed = cache() / f"installed-{_installed_from(made, payload)}.img"
        scenes = [
            Scene(
                stack.enter_context(machine(made, folder / label, disk)),
                server,
                folder / label,
                payload,
                person,
                label,
                installed,
                options.cuts,
            )
            for person, label, _ in PLAYS
        ]
        yield scenes, installed


def _installed_from(made: Image, payload: Path) -> str:
    """A name for the image together with what is installed from the payload."""
    found = hashlib.sha256(made.folder.name.encode())
    for each in ("agent.toml", "first/SHA256SUMS"):
        found.update((payload / each).read_bytes())
    return found.hexdigest()[:16]


def _timed(what: str, make: Callable[[], Made]) -> Made:
    begun = time.monotonic()
    made = make()
    say(f"{'made':7} {time.monotonic() - begun:5.0f} s  {what}")
    return made


def _install(scene: Scene, installed: Path, only: list[str]) -> Iterator[bool]:
    """Where only others are wanted, one that was installed before from the same files will do."""
    if only and INSTALL.name not in only and installed.exists():
        scene.machine.take_disk(installed)
        return
    ok = _shown(scene, INSTALL)
    yield ok
    if ok:
        _keep(scene.machine, installed)


def _wanted(shown: list[Shown], only: list[str]) -> list[Shown]:
    """Those that are wanted, after what makes the device ready for them; nothing where none is."""
    wanted = [each for each in shown if not only or each.name in only]
    ready = [each for each in PREPARED if each in shown]
    return [*ready, *(each for each in wanted if each not in ready)] if wanted else []


def _at_once(scenes: list[Scene], wanted: list[list[Shown]], installed: Path) -> list[bool]:
    """Plays them in threads, each of which takes the next one; who ends us need not wait."""
    results: list[bool] = []
    waiting = deque(zip(scenes, wanted, strict=True))

    def work() -> None:
        with contextlib.suppress(IndexError):
            while True:
                play(*waiting.popleft())

    def play(scene: Scene, shown: list[Shown]) -> None:
        try:
            if shown and scene is not scenes[0]:
                scene.machine.take_disk(installed)
            results.extend(_play(scene, shown))
        except Exception as error:  # what ends a scene early must not pass for all of it shown
            say(f"FAILED  {scene.label}: ended early: {type(error).__name__}: {error}")
            results.append(False)
        scene.machine.cut()  # its share of the processor is the others'

    threads = [threading.Thread(target=work, daemon=True) for _ in range(AT_ONCE)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return results


def _play(scene: Scene, shown: list[Shown]) -> Iterator[bool]:
    """True for what was shown. Nothing is tried on a device that could not be set up."""
    for each in shown:
        ok = _shown(scene, each)
        yield ok
        if not ok and each in PREPARED:
            return
        if not ok:
            _recover(scene, each.name)


def _shown(scene: Scene, each: Shown) -> bool:
    """Whether it could be; says so."""
    begun = time.monotonic()
    try:
        found, ok = each.show(scene), True
    except Exception as error:  # whatever it is, the others are still shown
        found, ok = f"{type(error).__name__}: {error}", False
    seconds = time.monotonic() - begun
    say(f"{'ok' if ok else 'FAILED':7} {seconds:5.0f} s  {scene.label}: {each.promise}: {found}")
    return ok


def _keep(device: Machine, installed: Path) -> None:
    """The disk of a device that was just installed, in place of earlier ones."""
    for each in installed.parent.glob("installed-*"):
        each.unlink()
    host.run("cp", "--sparse=always", device.disk, installed)


def _recover(scene: Scene, failed: str) -> None:
    """Keeps the device's words. It may be in any state: the next one begins with a boot."""
    with contextlib.suppress(DeviceError):
        status, said = scene.machine.try_to("journalctl --no-pager --boot; blink-agent status")
        (scene.folder / f"journal-{failed}.log").write_text(f"{said}\nended with {status}\n")
    with contextlib.suppress(DeviceError):
        scene.machine.cut()
        scene.boot()


def _logs() -> Path:
    return Path(tempfile.mkdtemp(prefix="blinklog-device-logs-"))


def _large(_folder: str, names: list[str]) -> list[str]:
    return [
        each
        for each in names
        if each.endswith((".img", ".socket", ".avi", ".mkv")) or each == "payload"
    ]


if __name__ == "__main__":
    raise SystemExit(main())
