"""Shows, on an emulated device, all that a real one has to do by itself: one line each."""

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.device import host, payload, steps_care, steps_everyday, steps_power
from tests.device.image import image
from tests.device.installation import running_server
from tests.device.machine import Machine, machine
from tests.device.scene import Scene
from tests.device.sockets import DeviceError


@dataclass(frozen=True, slots=True)
class Shown:
    """A line: its name, what it promises, and what shows it. `needed` by those that follow."""

    name: str
    promise: str
    show: Callable[[Scene], str]
    needed: bool = False


SHOWN = [
    Shown("install", "installed from a wheel house, offline", steps_everyday.install, needed=True),
    Shown("boot", "from power on to ready", steps_everyday.boot_to_ready, needed=True),
    Shown("enrol", "enrolled by a code", steps_everyday.enrol, needed=True),
    Shown("press", "a press: active in the history", steps_everyday.press),
    Shown("long-press", "a long press: final numbers in the history", steps_everyday.long_press),
    Shown("same-blinks", "a recording: the blinks of x86-64", steps_everyday.same_blinks),
    Shown("cut", "power cut in a session: delivered as interrupted", steps_power.cut_in_session),
    Shown("cuts", "power cuts while sessions end: none is lost", steps_power.many_cuts),
    Shown("wrong-clock", "wrong clock, no network: the right day", steps_care.wrong_clock),
    Shown("hung-watch", "a hung watch is started anew", steps_care.hung_watch),
    Shown("upgrade", "upgraded, sessions kept", steps_care.upgrade),
    Shown("failing-upgrade", "an upgrade that fails goes back", steps_care.failing_upgrade),
    Shown("uninstall", "uninstalled", steps_care.uninstall),
]
Made = TypeVar("Made")


def main() -> int:
    """The exit status: 0 where all that was asked for has been shown."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all is switched off
    names = {each.name for each in SHOWN}
    if unknown := set(options.only) - names:
        say(f"expected names out of {', '.join(sorted(names))}; found {', '.join(unknown)}")
        return 2
    begun = time.monotonic()
    with _folder(options.keep) as folder:
        try:
            with _scene(folder) as scene:
                scene.cuts = options.cuts
                results = list(_play(scene, options.only))
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
def _scene(folder: Path) -> Iterator[Scene]:
    """Everything made, nothing switched on yet but the server."""
    host.prepare()
    made = _timed("the device's image", lambda: image(cache()))
    for each in ("server", "payload"):
        (folder / each).mkdir()
    with running_server(folder / "server") as server:
        brought = _timed(
            "wheel houses and films",
            lambda: payload.gather(folder / "payload", server.broker.ca_file),
        )
        with machine(made, folder, brought) as device:
            yield Scene(device, server, folder, brought)


def _timed(what: str, make: Callable[[], Made]) -> Made:
    begun = time.monotonic()
    made = make()
    say(f"{'made':7} {time.monotonic() - begun:5.0f} s  {what}")
    return made


def _play(scene: Scene, only: list[str]) -> Iterator[bool]:
    """True for what was shown. Nothing is tried on a device that could not be set up.

    Where only some are wanted, a device that was installed before from the same files will do.
    """
    installed = cache() / f"installed-{scene.machine.made_of()}.img"
    for each in SHOWN:
        if only and not each.needed and each.name not in only:
            continue
        if only and each.name == "install" and installed.exists():
            scene.machine.take_disk(installed)
            continue
        begun = time.monotonic()
        try:
            found, ok = each.show(scene), True
        except Exception as error:  # whatever it is, the others are still shown
            found, ok = f"{type(error).__name__}: {error}", False
        seconds = time.monotonic() - begun
        say(f"{'ok' if ok else 'FAILED':7} {seconds:5.0f} s  {each.promise}: {found}")
        yield ok
        if ok and each.name == "install":
            _keep(scene.machine, installed)
        if not ok and each.needed:
            return
        if not ok:
            _recover(scene, each.name)


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
        each for each in names if each.endswith((".img", ".socket", ".avi")) or each == "payload"
    ]


if __name__ == "__main__":
    raise SystemExit(main())
