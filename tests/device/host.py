"""What a host needs to make and run an emulated device: root, Debian's tools, qemu registered."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

TOOLS = {  # a program, and the package that has it
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-aarch64-static": "qemu-user-static",
    "debootstrap": "debootstrap",
    "mkfs.ext4": "e2fsprogs",
    "zstd": "zstd",
    "dtc": "device-tree-compiler",
    "depmod": "kmod",
    "mosquitto": "mosquitto",
}
SEARCH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
BINFMT = Path("/proc/sys/fs/binfmt_misc")
MAGIC = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00"  # an executable, 64 bit, AArch64
MASK = b"\xff" * 7 + b"\x00" + b"\xff" * 8 + b"\xfe\xff\xff\xff"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class HostError(Exception):
    """This host can't do it; the message says what is missing."""


def run(*command: str | Path, timeout_s: float = 600, cwd: Path | None = None) -> str:
    """Runs it to its end; returns what it said. Raises HostError with its last words."""
    done = subprocess.run(
        [str(each) for each in command],
        cwd=cwd,
        env={**os.environ, "PATH": SEARCH, "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )
    if done.returncode:
        raise HostError(f"{command[0]} ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout


def prepare() -> None:
    """Installs what is missing. Raises HostError where this is not root on Debian."""
    if os.geteuid() != 0:
        raise HostError("expected to be root (debootstrap, binfmt_misc), found another user")
    missing = [package for tool, package in TOOLS.items() if not shutil.which(tool, path=SEARCH)]
    if missing:
        _install(missing)


def register_qemu() -> None:
    """Lets the kernel run arm64 programs through qemu-user; a fixed (F) one works in a chroot."""
    if platform.machine() == "aarch64":
        return
    if not (BINFMT / "register").exists():
        run("mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT)
    for entry in BINFMT.glob("*aarch64*"):
        if "F" in _flags(entry):
            return
        entry.write_text("-1")
    # As bytes between colons: the kernel reads \x.. itself.
    magic, mask = ("".join(f"\\x{byte:02x}" for byte in text) for text in (MAGIC, MASK))
    interpreter = shutil.which("qemu-aarch64-static", path=SEARCH)
    (BINFMT / "register").write_text(f":qemu-aarch64:M::{magic}:{mask}:{interpreter}:OCF")


def mirror() -> str:
    """Where this host's apt gets Debian from."""
    listed = run("apt-get", "indextargets", "--format", "$(ORIGIN)|$(SUITE)|$(REPO_URI)")
    for line in listed.splitlines():
        origin, suite, uri = line.split("|")
        if origin == "Debian" and not suite.endswith("-security"):
            return uri
    raise HostError("expected Debian's archive among apt's sources (after apt-get update)")


def _flags(entry: Path) -> str:
    lines = entry.read_text().splitlines()
    return next((line for line in lines if line.startswith("flags:")), "").removeprefix("flags:")


def _install(packages: list[str]) -> None:
    if not shutil.which("apt-get", path=SEARCH):
        raise HostError(f"expected a Debian with {', '.join(packages)}; found no apt-get")
    run("apt-get", "update", "-qq")
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]
    run("env", "DEBIAN_FRONTEND=noninteractive", *install, *packages, timeout_s=1200)
