"""The emulated device itself: plugged in, unplugged, pressed, and talked to."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.processes import _die_with_parent
from tests.device import host
from tests.device.image import MACHINE, Image
from tests.device.sockets import Channel, DeviceError, Lever, Monitor

BOOT_S = 600  # 20 s on an idle host of two cores, 170 s on one with thirteen jobs
NETWORK = "n0"
HERE = Path(__file__).resolve().parent
SLOW = [f"/etc/systemd/system/blinklog-{each}.service.d" for each in ("watch", "sync")]
ASK_S = 1  # asking systemd takes an emulated machine a tenth of a second


class Machine:
    """A device with a disk of its own. `payload` is a disk that it sees at /mnt, read only.

    Each boot's serial console is in `folder`, as console-N.log.
    """

    monitor: Monitor
    lever: Lever
    channel: Channel

    def __init__(self, image: Image, folder: Path, payload: Path) -> None:
        self._image = image
        self._folder = folder
        self._payload = payload
        self._process: subprocess.Popen[bytes] | None = None
        self.disk = folder / "disk.img"
        self.take_disk(image.disk)
        self._put_away = False
        self.boots = 0

    def take_disk(self, disk: Path) -> None:
        """A copy of it becomes this device's."""
        host.run("cp", "--sparse=always", disk, self.disk)
        self.put(dict.fromkeys((f"{folder}/emulated.conf" for folder in SLOW), HERE / "slow.conf"))

    def put(self, files: dict[str, Path]) -> None:
        """Writes files of this host onto the disk, while the power is off."""
        assert self._process is None
        for there, here in files.items():
            folders = [str(each) for each in reversed(Path(there).parents)][1:]
            lines = [*(f"mkdir {each}" for each in folders), f"rm {there}", f"write {here} {there}"]
            commands = self._folder / "debugfs"
            commands.write_text("".join(f"{line}\n" for line in lines))
            host.run("debugfs", "-w", "-f", commands, self.disk)  # what is there already is said
            size = host.run("debugfs", "-R", f"stat {there}", self.disk)
            if f"Size: {here.stat().st_size}" not in size:
                raise DeviceError(f"{there} can't be written onto the disk: {size}")

    def boot(self, *, clock: str = "utc", network: bool = True, timeout_s: float = BOOT_S) -> float:
        """Returns when it takes commands; the seconds that took.

        `clock` is its real-time clock at the start, as "2000-01-01T00:00:00"; "utc" is right.
        """
        assert self._process is None
        if self._put_away:
            raise DeviceError("the device has been put away")
        begun = time.monotonic()
        self.boots += 1
        console = self._folder / f"console-{self.boots}.log"
        with console.with_suffix(".qemu").open("wb") as said:
            self._process = subprocess.Popen(
                ["nice", "-n", "5", *self._command(console, clock)],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - it does no more than a system call
            )
        self.monitor = Monitor(self._socket("monitor"))
        self.lever = Lever(self._socket("gpio"), self.monitor.path_of("pl061"))
        self.channel = Channel(self._socket("channel"))
        self.cable(plugged=network)
        self.monitor.ask("cont")
        self.channel.wait(timeout_s)
        return time.monotonic() - begun

    def cut(self) -> None:
        """The power goes."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None
            for each in (self.monitor, self.lever, self.channel):
                each.close()

    def put_away(self) -> None:
        """The power goes, for good."""
        self._put_away = True
        self.cut()

    def shut_down(self, timeout_s: float = 120) -> None:
        """In order, as `poweroff` does."""
        assert self._process is not None
        self.channel.run("systemctl --no-block poweroff", 30)
        try:
            self._process.wait(timeout_s)
        finally:
            self.cut()

    def cable(self, *, plugged: bool) -> None:
        """The network's."""
        self.monitor.ask("set_link", name=NETWORK, up=plugged)

    def run(self, command: str, timeout_s: float = 60) -> str:
        """What a shell command of root's says. Raises DeviceError unless it succeeds."""
        status, said = self.try_to(command, timeout_s)
        if status:
            raise DeviceError(f"{command}\nended with {status} on the device:\n{said[-3000:]}")
        return said

    def try_to(self, command: str, timeout_s: float = 60) -> tuple[int, str]:
        """A shell command's exit status and what it said."""
        return self.channel.run(command, timeout_s)

    def until(self, condition: str, what: str, timeout_s: float = 120) -> None:
        """Until a shell command of the device succeeds."""
        loop = f"until {condition}; do sleep {ASK_S}; done"
        status, said = self.try_to(loop, timeout_s)
        if status:
            raise DeviceError(f"never happened on the device: {what}\n{said[-2000:]}")

    def port(self, name: str) -> Path:
        """The host's end of /dev/virtio-ports/NAME: `channel` or `witness`."""
        return self._socket(name)

    def _socket(self, name: str) -> Path:
        return self._folder / f"{name}.socket"

    def _command(self, console: Path, clock: str) -> list[str]:
        parts = {
            "drive": [
                f"file={self.disk},if=none,id=d0,format=raw",
                f"file={self._payload},if=none,id=d1,format=raw,readonly=on",
            ],
            # The last one given is found first.
            "device": [
                "virtio-blk-device,drive=d1",
                "virtio-blk-device,drive=d0",
                f"virtio-net-device,netdev={NETWORK}",
                "virtio-rng-device",
                "virtio-serial-device",
                "virtserialport,chardev=channel,name=channel",
                "virtserialport,chardev=witness,name=witness",
            ],
            "netdev": [f"user,id={NETWORK}"],
            "chardev": [
                f"socket,id={name},path={self._socket(name)},server=on,wait=off"
                for name in ("channel", "witness")
            ],
            "qmp": [f"unix:{self._socket('monitor')},server=on,wait=off"],
            "qtest": [f"unix:{self._socket('gpio')},server=on,wait=off"],
            "qtest-log": ["none"],
            "serial": [f"file:{console}"],
            "rtc": [f"base={clock}" if clock == "utc" else f"base={clock},clock=vm"],
            "accel": ["tcg,thread=multi"],
            "kernel": [str(self._image.kernel)],
            "initrd": [str(self._image.initrd)],
            "dtb": [str(self._image.device_tree)],
            "append": [
                "root=/dev/vda rw console=ttyAMA0 quiet loglevel=4 systemd.show_status=true"
            ],
        }
        named = [
            part for key, values in parts.items() for each in values for part in (f"-{key}", each)
        ]
        fixed = ["-display", "none", "-no-reboot", "-S", "-monitor", "none", "-parallel", "none"]
        program = shutil.which("qemu-system-aarch64", path=host.SEARCH)
        return [str(program), *MACHINE, *named, *fixed]


def pack(folder: Path, disk: Path) -> None:
    """A disk of the folder's files, as large as they need."""
    size_mb = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file()) >> 20
    host.run("truncate", "-s", f"{size_mb + size_mb // 8 + 16}M", disk)
    host.run("mkfs.ext4", "-q", "-O", "^has_journal", "-d", folder, disk)


@contextlib.contextmanager
def machine(image: Image, folder: Path, payload: Path) -> Iterator[Machine]:
    """A device, off, with a new folder; whatever happens, it is off in the end."""
    folder.mkdir()
    made = Machine(image, folder, payload)
    try:
        yield made
    finally:
        made.put_away()
