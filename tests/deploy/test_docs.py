"""docs/install.md says what there is, and only that."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.house import ROOT

TEXT = (ROOT / "docs" / "install.md").read_text()
SCRIPTS = ("install.sh", "install-server.sh", "wheel-house")
INTERNAL = {"--undo", "--help"}


def options(script: str) -> set[str]:
    """Those that the script knows."""
    text = (ROOT / "deploy" / script).read_text()
    found = re.findall(r"^ +(--[a-z-]+(?: \| --?[a-z-]+)*)\)", text, flags=re.M)
    return {each for group in found for each in group.split(" | ")} - INTERNAL


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_option_is_in_the_scripts_own_help(script: str) -> None:
    told = subprocess.run(
        [ROOT / "deploy" / script, "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert options(script) - {"-h"} <= set(re.findall(r"--[a-z-]+", told))


def test_every_unit_is_named() -> None:
    folders = (ROOT / "deploy" / "systemd", ROOT / "deploy" / "server" / "systemd")
    for unit in (each for folder in folders for each in folder.iterdir()):
        assert unit.stem in TEXT, unit.name


def test_every_command_and_option_of_the_page_exists() -> None:
    for program in ("agent", "server"):
        for command in sorted(set(re.findall(rf"blink-{program} ([a-z][a-z-]+)", TEXT))):
            done = subprocess.run(
                [sys.executable, "-m", f"{program}.cli", command, "--help"],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            line = re.findall(rf"blink-{program} {command}([^\n`]*)", TEXT)
            for option in re.findall(r"--[a-z-]+", " ".join(line)):
                assert option in done.stdout, f"{command} {option}"


def test_nginx_is_given_its_certificate_before_its_configuration() -> None:
    lines = ["certbot certonly", "/etc/nginx/sites-available/blinklog", "/etc/nginx/sites-enabled"]
    places = [TEXT.index(line) for line in [*lines, "sudo nginx -t && "]]
    assert places == sorted(places)


def test_every_file_of_the_page_exists() -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", TEXT):
        assert (ROOT / "docs" / target).exists(), target
    for script in re.findall(r"deploy/([\w.-]+\.sh|wheel-house)", TEXT):
        assert Path(ROOT / "deploy" / script).exists(), script
