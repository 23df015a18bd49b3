"""The files for a card's boot partition, and the list that Raspberry Pi Imager reads."""

import hashlib
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.deploy.house import ROOT

SCRIPT = ROOT / "deploy" / "image" / "make-image"
FIRST_SECTOR = 16384  # as in Raspberry Pi OS


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A wheel house like the real one: a folder in a tar."""
    folder = tmp_path / "blinklog-device"
    folder.mkdir()
    (folder / "install.sh").write_text("#!/bin/sh\n")
    file = tmp_path / "house.tar"
    with tarfile.open(file, "w") as tar:
        tar.add(folder, "blinklog-device")
    return file


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A disk with a partition table and nothing in it."""
    sector = bytearray(512)
    sector[446 + 4] = 0x0C
    sector[446 + 8 : 446 + 12] = FIRST_SECTOR.to_bytes(4, "little")
    sector[510:] = b"\x55\xaa"
    file = tmp_path / "raspios.img"
    file.write_bytes(bytes(sector) + bytes(1 << 20))
    return file


def make(*arguments: str | Path, path: str = os.defpath) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": f"{path}:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        ["/usr/bin/env", "python3", str(SCRIPT), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environ,
    )


def test_the_boot_files_install_from_the_wheel_house_beside_them(
    tmp_path: Path, house: Path
) -> None:
    done = make("--wheel-house", house, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    boot = tmp_path / "out" / "boot"
    assert {each.name for each in boot.iterdir()} == {
        "user-data",
        "meta-data",
        "blinklog-device.tar",
    }
    text = (boot / "user-data").read_text()
    assert text.startswith("#cloud-config\n")
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("- [")]
    for line in lines[:2]:  # as cloud-init runs them, but here
        words = line.removeprefix("- [").removesuffix("]").split(", ")
        here = [
            word.replace("/boot/firmware", str(boot)).replace("/var/tmp", str(tmp_path))
            for word in words
        ]
        subprocess.run(here, check=True)
    assert (tmp_path / "blinklog-house" / "install.sh").exists()
    assert "/var/tmp/blinklog-house/install.sh" in lines[2]


def test_the_files_go_into_the_boot_partition_and_the_list_says_what_is_in_the_image(
    tmp_path: Path, house: Path, image: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "mcopy").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/arguments\n')
    (tools / "mcopy").chmod(0o755)
    url = "https://blinklog.example.org/card/"
    options = ["--wheel-house", house, "--image", image, "--url", url]
    done = make(*options, tmp_path / "out", path=str(tools))
    assert done.returncode == 0, done.stderr
    made = tmp_path / "out" / "blinklog.img"
    said = (tmp_path / "arguments").read_text().splitlines()
    assert said[:3] == ["-o", "-i", f"{made}@@{FIRST_SECTOR * 512}"]
    assert [Path(each).name for each in said[3:-1]] == [
        "blinklog-device.tar",
        "meta-data",
        "user-data",
    ]
    (entry,) = json.loads((tmp_path / "out" / "os_list.json").read_text())["os_list"]
    assert entry["url"] == "https://blinklog.example.org/card/blinklog.img"
    assert entry["extract_sha256"] == hashlib.sha256(made.read_bytes()).hexdigest()
    assert entry["extract_size"] == made.stat().st_size
    assert "init_format" not in entry


def test_what_is_no_image_is_said(tmp_path: Path, house: Path, image: Path) -> None:
    options = ["--wheel-house", house, "--url", "https://x", "--image"]
    packed = tmp_path / "raspios.img.xz"
    packed.write_bytes(b"\xfd7zXZ")
    done = make(*options, packed, tmp_path / "one")
    assert (done.returncode, "unpack it first" in done.stderr) == (1, True)
    image.write_bytes(image.read_bytes().replace(b"\x0c", b"\x83", 1))
    done = make(*options, image, tmp_path / "two")
    assert "expected a boot partition in FAT32, found type 0x83" in done.stderr
    done = make("--wheel-house", tmp_path / "none.tar", tmp_path / "three")
    assert "expected a file, found none" in done.stderr
