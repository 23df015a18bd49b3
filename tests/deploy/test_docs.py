"""The documentation names only commands, options, files and headings that exist."""

import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from tests.deploy.house import ROOT

INSTALLING = (ROOT / "docs" / "install.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
SCRIPTS = ("install.sh", "install-server.sh", "wheel-house")
INTERNAL = {"--undo", "--help"}
PROGRAMS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


def options(script: str) -> set[str]:
    """Return the options that the script accepts, except internal ones."""
    text = (ROOT / "deploy" / script).read_text()
    found = re.findall(r"^ +(--[a-z-]+(?: \| --?[a-z-]+)*)\)", text, flags=re.M)
    return {each for group in found for each in group.split(" | ")} - INTERNAL


@cache
def command_help(program: str, *command: str) -> str:
    """Return the --help of `blink-PROGRAM COMMAND`, or of the program without a command."""
    module = PROGRAMS[f"blink-{program}"].split(":")[0]
    done = subprocess.run(
        [sys.executable, "-m", module, *command, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def anchors(page: Path) -> set[str]:
    """Return the anchors of the page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.M)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in titles}


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_option_is_in_the_scripts_own_help(script: str) -> None:
    told = subprocess.run(
        [ROOT / "deploy" / script, "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert options(script) - {"-h"} <= set(re.findall(r"--[a-z-]+", told))


def test_every_unit_is_named() -> None:
    folders = (ROOT / "deploy" / "systemd", ROOT / "deploy" / "server" / "systemd")
    for unit in (each for folder in folders for each in folder.iterdir()):
        assert unit.stem in INSTALLING, unit.name


def test_every_command_and_option_of_the_pages_exists() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    found = re.findall(r"blink-(agent|server) ([a-z][a-z-]+)([^\n`#]*)", text)
    # Elsewhere in running text, the word that follows is not a command.
    starts = r"(?:`|^    |^    sudo |bin/)blink-(agent|server) ([a-z][a-z-]+)"
    commands = set(re.findall(starts, text, flags=re.M))
    assert len(commands) > 20
    for program, command in sorted(commands):
        lines = [line for *whose, line in found if whose == [program, command]]
        for option in re.findall(r"(?<!\S)\[?(--[a-z-]+)", " ".join(lines)):
            assert option in command_help(program, command), f"{command} {option}"


def test_every_option_of_a_script_on_the_pages_exists() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    for script, line in re.findall(r"deploy/([\w-]+\.sh|wheel-house)([^\n`#]*)", text):
        assert set(re.findall(r"(?<!\S)--[a-z-]+", line)) <= options(script), script + line


def test_every_command_of_the_server_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "operating-server.md").read_text()
    commands = re.findall(r"^    ([a-z-]+)\b", command_help("server"), re.MULTILINE)
    assert len(commands) > 20
    assert [each for each in commands if f"`{each}" not in text] == []


def test_nginx_is_given_its_certificate_before_its_configuration() -> None:
    lines = ["certbot certonly", "/etc/nginx/sites-available/blinklog", "/etc/nginx/sites-enabled"]
    places = [INSTALLING.index(line) for line in [*lines, "sudo nginx -t && "]]
    assert places == sorted(places)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    text = page.read_text()
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", text):
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), f"{target}#{anchor}"
    for script in re.findall(r"deploy/([\w.-]+\.sh|wheel-house)", text):
        assert (ROOT / "deploy" / script).exists(), script


def test_every_page_is_listed() -> None:
    listed = (ROOT / "docs" / "README.md").read_text()
    for page in PAGES[2:]:
        assert page.name == "README.md" or f"({page.name}" in listed, page.name


def test_every_benchmark_of_the_pages_exists() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    for name in set(re.findall(r"`(?:python -m )?bench\.([a-z_]+)", text)):
        file, folder = ROOT / "bench" / f"{name}.py", ROOT / "bench" / name / "__main__.py"
        assert file.exists() or folder.exists(), name
