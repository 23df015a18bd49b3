"""Parts of the device that come as files: Debian's arm64 packages, and what is built from PyPI's.

Raspberry Pi OS has picamera2 and lgpio as packages, Debian hasn't: they are made from what their
authors published on PyPI.
"""

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
PICAMERA2 = "picamera2==0.3.31"  # what Raspberry Pi OS had in 2025, on Debian's libcamera 0.4
# What it imports, as far as there are wheels for arm64.
ITS_NEEDS = [
    "av==19.0.2",
    "simplejpeg==1.9.0",
    "pillow==13.0.0",
    "piexif==1.1.3",
    "videodev2==0.0.4",
]
PLATFORMS = ["manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64"]
# What picamera2 imports in vain, and here in name only: PiDNG, which writes raw pictures and has no
# wheel, and kms++, which draws on a display and is in Raspberry Pi OS alone.
IN_NAME_ONLY = {
    "pidng/__init__.py": "",
    "pidng/core.py": "class PICAM2DNG:\n    pass\n",
    "pidng/camdefs.py": "class Picamera2Camera:\n    pass\n",
    "kms.py": "class PixelFormat:\n    RGB888 = BGR888 = XRGB8888 = XBGR8888 = YUV420 = YVU420 = 0",
}


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


def fetch_missing(names: list[str], root: Path, folder: Path) -> list[Path]:
    """The packages, and those that they need and the tree at `root` doesn't have yet."""
    options = _apt_options(folder)
    shutil.copy(root / "var/lib/dpkg/status", folder / "status")
    host.run("apt-get", *options, "-qq", "update")
    install = ["install", "--yes", "-qq", "--download-only", "--no-install-recommends"]
    host.run("apt-get", *options, *install, *names)
    return sorted((folder / "archives").glob("*.deb"))


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


def build_picamera2(folder: Path) -> Path:
    """A package python3-picamera2 with picamera2 itself, for Python 3.13 on arm64."""
    content = folder / "python3-picamera2"
    library = content / "usr/lib/python3/dist-packages"
    library.mkdir(parents=True)
    system = [part for each in PLATFORMS for part in ("--platform", each)]
    system += ["--python-version", "3.13", "--implementation", "cp", "--only-binary", ":all:"]
    _pip("install", "--no-deps", "--target", library, *system, PICAMERA2, *ITS_NEEDS)
    (library / "pidng").mkdir()
    for name, text in IN_NAME_ONLY.items():
        (library / name).write_text(text)
    return package(content, "python3-picamera2", "0.3.31-1", "arm64")


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
    host.run("dpkg-deb", "--root-owner-group", "-Znone", "--build", content)
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
