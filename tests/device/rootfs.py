"""The device's Debian, before anything of ours: what debootstrap makes, as a packed tree."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from tests.device import host

SUITE = "trixie"  # as Raspberry Pi OS: Python 3.13, systemd 257
PACKAGES = [
    *("systemd", "systemd-sysv", "systemd-timesyncd", "udev", "dbus", "kmod", "procps"),
    *("iproute2", "netbase", "tzdata", "adduser", "ca-certificates", "python3", "python3-venv"),
]
BUILD_S = 3600  # under emulation, beside other work


def packed(cache: Path) -> Path:
    """The packed tree, made if it isn't in `cache` yet."""
    wanted = f"{SUITE} {PACKAGES} {Path(__file__).read_text()}"
    made = cache / f"rootfs-{hashlib.sha256(wanted.encode()).hexdigest()[:16]}.tar.zst"
    if not made.exists():
        host.register_qemu()
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            _pack(_bootstrap(Path(folder) / "root"), made)
    return made


def _bootstrap(root: Path) -> Path:
    options = [f"--keyring={host.KEYRING}", f"--include={','.join(PACKAGES)}"]
    command = ["debootstrap", "--arch=arm64", "--variant=minbase", *options, SUITE, root]
    try:
        host.run("nice", *command, host.mirror(), timeout_s=BUILD_S)
    finally:
        for mounted in ("proc", "sys"):
            host.run("sh", "-c", f"! mountpoint -q {root}/{mounted} || umount -l {root}/{mounted}")
    for needless in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"):
        shutil.rmtree(root / needless, ignore_errors=True)
        (root / needless).mkdir()
    return root


def _pack(root: Path, made: Path) -> None:
    part = made.with_name(f"{made.name}.part")
    host.run("tar", "--create", "--zstd", "--numeric-owner", "--file", part, "-C", root, ".")
    part.rename(made)
