"""A machine to install on: this one's files under an overlay, with a real systemd of its own.

What is written goes to a directory that is thrown away; users, units, /opt and /etc are the
machine's own. It has no network but its loopback, and no devices but /dev/null and its like. A
power cut is a kill of its init: what was written stays, what ran is gone.
"""

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
"""Seen inside, too, wherever it lies."""
SYSTEMD = "/lib/systemd/systemd"
BOOT_S = 60.0
DISK_BYTES = 3 << 30
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# What needs hardware, a network or a person: none of it is looked at here.
MASKED = """
    systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket
    systemd-udev-trigger.service systemd-logind.service systemd-networkd.service
    systemd-networkd.socket systemd-resolved.service systemd-timesyncd.service getty.target
    remote-fs.target systemd-update-utmp.service systemd-update-utmp-runlevel.service
    systemd-tmpfiles-setup-dev.service systemd-modules-load.service systemd-remount-fs.service
    systemd-pstore.service systemd-sysctl.service systemd-binfmt.service
"""

_BOOT = """
set -e
disk=$1 share=$2 tree=$4
mount --make-rprivate /
mkdir -p "$disk/upper" "$disk/work" "$disk/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$disk/upper,workdir=$disk/work" "$disk/root"
cd "$disk/root"
if [ ! -e etc/blinklog-test ]; then
  touch etc/blinklog-test
  rm -rf etc/systemd/system/*.wants etc/systemd/system/*.d etc/machine-id
  for unit in $3; do ln -sf /dev/null "etc/systemd/system/$unit"; done
fi
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for each in run tmp dev; do mount -t tmpfs -o mode=755 tmpfs $each; done
chmod 1777 tmp
for each in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0"; do
  set -- $each; mknod -m 666 dev/$1 c $2 $3
done
mkdir -p dev/shm dev/pts run/share
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount --bind "$share" run/share
[ -d "./$tree" ] || { mkdir -p "./$tree"; mount --bind "$tree" "./$tree"; }
ip link set lo up
mkdir -p oldroot
pivot_root . oldroot
umount -l /oldroot
mount --make-rshared /
exec env -i container=blinklog-test PATH="$PATH" /lib/systemd/systemd --unit=multi-user.target
"""


@functools.cache
def missing() -> str | None:
    """Why there can be no such machine here, or None."""
    if os.geteuid() != 0:
        return "a machine of its own needs root"
    for program in ("unshare", "nsenter", "ip"):
        if shutil.which(program, path=PATH) is None:
            return f"{program} is not installed"
    if not Path(SYSTEMD).exists():
        return "systemd is not installed"
    probe = (
        "mount -t cgroup2 cgroup2 /sys/fs/cgroup && mount -t tmpfs t /mnt && mkdir /mnt/u /mnt/w"
    )
    probe += " && mount -t overlay o -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt"
    run = subprocess.run(
        ["unshare", "-m", "-p", "-n", "--fork", "sh", "-c", probe], check=False, capture_output=True
    )
    return None if run.returncode == 0 else "a machine of its own needs root that may mount"


@contextlib.contextmanager
def a_machine(share: Path) -> Iterator["Machine"]:
    """A new one, booted. What it writes is kept in memory where there is enough of it."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > DISK_BYTES
    with tempfile.TemporaryDirectory(
        prefix="blinklog-machine-", dir=memory if roomy else None, ignore_cleanup_errors=True
    ) as disk:
        made = Machine(Path(disk), share)
        try:
            made.boot()
            yield made
        finally:
            made.cut_power()


class Machine:
    """`disk` holds what it writes; `share` is seen inside as /run/share, for as long as it runs."""

    def __init__(self, disk: Path, share: Path) -> None:
        self._disk = disk
        self._share = share
        self._unshare: subprocess.Popen[bytes] | None = None
        self._init = 0
        self._begun: list[subprocess.Popen[bytes]] = []

    def boot(self) -> None:
        """Returns when systemd has started what is enabled."""
        self._disk.mkdir(exist_ok=True)
        command = ["unshare", "-m", "-p", "-u", "-i", "-C", "-n", "--fork", "--kill-child"]
        with (self._disk / "boot.log").open("wb") as log:
            self._unshare = subprocess.Popen(
                [*command, "bash", "-c", _BOOT, "boot", self._disk, self._share, MASKED, ROOT],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={"PATH": PATH},
            )
        deadline = time.monotonic() + BOOT_S
        while self._state() not in ("running", "degraded"):
            if self._unshare.poll() is not None or time.monotonic() > deadline:
                said = (self._disk / "boot.log").read_text()
                self.cut_power()
                raise RuntimeError(f"the machine did not boot: {said}")
            time.sleep(0.1)

    def _state(self) -> str:
        assert self._unshare is not None
        pid = self._unshare.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children:
            return "not begun"
        self._init = int(children[0])
        return self.run("systemctl is-system-running", check=False).stdout.strip()

    def run(
        self, script: str, *, check: bool = True, timeout_s: float = 250, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """A shell's commands inside, as root. Both outputs are in `stdout`."""
        done = subprocess.run(
            self._inside(script),
            env={"PATH": PATH, "HOME": "/root", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if check and done.returncode != 0:
            journal = self.run("journalctl -b -n 40 --no-pager", check=False).stdout
            pytest.fail(f"{script}\nexit status {done.returncode}\n{done.stdout}\n{journal}")
        return done

    def begin(self, script: str, **environment: str) -> None:
        """As `run`, without waiting for the end, which a power cut is."""
        self._begun.append(
            subprocess.Popen(
                self._inside(script),
                env={"PATH": PATH, "HOME": "/root", **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    def _inside(self, script: str) -> list[str]:
        spaces = ["-m", "-p", "-u", "-i", "-C", "-n", "-r", "-w"]
        return ["nsenter", "-t", str(self._init), *spaces, "bash", "-c", script]

    def cut_power(self) -> None:
        """Nothing that ran is left. Twice is once."""
        if self._unshare is not None:
            self._unshare.send_signal(signal.SIGKILL)
            self._unshare.wait(10)
            self._unshare = None
        while self._begun:
            self._begun.pop().wait(10)
