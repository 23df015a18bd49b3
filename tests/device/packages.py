"""Parts of the device that come as files: Debian's arm64 packages, and lgpio built for it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.device import host
from tests.device.rootfs import SUITE

LGPIO = "lgpio==0.2.2.0"  # Debian has none; on a Pi, Raspberry Pi OS brings it as a package
BUILDERS = ["ziglang==0.13.0.post1", "swig==4.2.1"]  # swig 4.5 breaks lgpio
GLIBC = "2.34"


def fetch(names: list[str], folder: Path) -> list[Path]:
    """Debian's arm64 packages, verified by its keys, into `folder`."""
    options = _apt_options(folder)
    host.run("apt-get", *options, "-qq", "update")
    found = []
    for name in names:
        depends = host.run("apt-cache", *options, "depends", name)
        # linux-image-arm64 is a name for the newest kernel's package.
        newest = [line.split()[-1] for line in depends.splitlines() if "Depends: linux-im" in line]
        package = (newest or [name])[0]
        host.run("apt-get", *options, "-qq", "download", package, cwd=folder)
        found.append(next(folder.glob(f"{package}_*.deb")))
    return found


def unpack(package: Path, folder: Path) -> Path:
    """The package's files below `folder`."""
    host.run("dpkg-deb", "-x", package, folder)
    return folder


def build_lgpio(headers: Path, folder: Path) -> Path:
    """A package python3-lgpio, as Raspberry Pi OS has one; compiled for arm64 on this host."""
    tools = folder / "tools"
    _pip("install", "--target", tools, *BUILDERS)
    _pip("download", "--no-deps", "--no-binary", ":all:", LGPIO, "--dest", folder)
    source = folder / "lgpio"
    source.mkdir()
    host.run("tar", "-xf", next(folder.glob("lgpio-*.tar.gz")), "--strip=1", "-C", source)
    environment = {
        **os.environ,
        "PYTHONPATH": str(tools),
        "ZIG_GLOBAL_CACHE_DIR": str(folder / "z"),
    }
    target = f"aarch64-linux-gnu.{GLIBC}"
    module = "_lgpio.cpython-313-aarch64-linux-gnu.so"
    include = [f"-I{headers}/usr/include", f"-I{headers}/usr/include/python3.13", "-Isrc"]
    sources = [*sorted(map(str, source.glob("src/lg*.c"))), "src/rgpiod.c", "lgpio_wrap.c"]
    flags = ["-shared", "-fPIC", "-O2", "-s", "-pthread", "-w"]
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", target, *flags]
    for command in (
        [str(tools / "bin" / "swig"), "-python", "-o", "lgpio_wrap.c", "lgpio.i"],
        [*compiler, *include, *sources, "-o", module],
    ):
        subprocess.run(command, cwd=source, env=environment, timeout=600, check=True)
    content = folder / "python3-lgpio"
    library = content / "usr/lib/python3/dist-packages"
    library.mkdir(parents=True)
    for each in (source / "lgpio.py", source / module):
        shutil.copy(each, library)
    return package(content, "python3-lgpio", "0.2.2-1~rpt1", "arm64")


def package(content: Path, name: str, version: str, architecture: str = "all") -> Path:
    """A Debian package of the files in `content`."""
    (content / "DEBIAN").mkdir(parents=True)
    fields = {
        "Package": name,
        "Version": version,
        "Architecture": architecture,
        "Maintainer": "Blinklog's tests <nobody@example.org>",
        "Description": "stands in for Raspberry Pi OS's package in the emulated device",
    }
    text = "".join(f"{key}: {value}\n" for key, value in fields.items())
    (content / "DEBIAN" / "control").write_text(text)
    host.run("dpkg-deb", "--root-owner-group", "--build", content)
    return content.with_name(f"{content.name}.deb")


def _pip(*arguments: str | Path) -> None:
    host.run(sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *arguments)


def _apt_options(folder: Path) -> list[str]:
    """Of an apt for the device's architecture and suite, beside this host's own."""
    for each in ("lists/partial", "archives/partial"):
        (folder / each).mkdir(parents=True)
    (folder / "status").touch()
    where = f"[arch=arm64 signed-by={host.KEYRING}] {host.mirror()} {SUITE} main"
    (folder / "sources.list").write_text(f"deb {where}\n")
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Dir::State": str(folder),
        "Dir::State::status": str(folder / "status"),
        "Dir::Cache": str(folder),
        "Dir::Etc::sourcelist": str(folder / "sources.list"),
        "Dir::Etc::sourceparts": "/dev/null",
    }
    return [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]
