"""The wheel works in a fresh environment, without the checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent import __version__
from tests.deploy.house import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # to download what it depends on

SHOW_A_PAGE = """
import django
django.setup()
from django.contrib.staticfiles import finders
from django.test import Client
page = Client().get("/login/", secure=True, headers={"host": "localhost"})
assert page.status_code == 200, page.status_code
assert finders.find("dashboard/blinklog.css")
print(page.content.decode()[:15])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"  # hatchling writes nothing there, but pip may
    ignored = shutil.ignore_patterns(".*", "__pycache__", "test-artefacts")
    shutil.copytree(ROOT, copy, ignore=ignored)
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, copy, cwd=folder)
    return next(folder.glob("*.whl"))


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a command prints; it sees nothing of the checkout."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(each) for each in command],
        cwd=cwd,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fresh(folder: Path, wheel: Path, extra: str) -> Path:
    """The programs of a new environment with the wheel and one of its extras."""
    run(sys.executable, "-m", "venv", folder / "env", cwd=folder)
    programs = folder / "env" / "bin"
    run(programs / "pip", "install", "-q", f"{wheel}[{extra}]", cwd=folder)
    return programs


def test_an_agent_is_installed_from_it(wheel: Path, tmp_path: Path, model_cache: Path) -> None:
    programs = fresh(tmp_path, wheel, "agent")
    assert run(programs / "blink-agent", "--version", cwd=tmp_path).strip() == __version__
    config = tmp_path / "agent.toml"
    config.write_text(f'[model]\ncache = "{model_cache}"\n[controls]\npins = "mock"\n')
    said = run(programs / "blink-agent", "--config", config, "self-test", cwd=tmp_path)
    assert "ms for a whole face" in said
    units = tmp_path / "env/share/blinklog/systemd"
    assert {"blinklog-watch.service", "blinklog-sync.service"} <= {
        path.name for path in units.iterdir()
    }


def test_a_server_is_installed_from_it(wheel: Path, tmp_path: Path) -> None:
    programs = fresh(tmp_path, wheel, "server")
    settings = {"BLINKLOG_DATA_DIR": str(tmp_path / "data"), "BLINKLOG_ALLOWED_HOSTS": "localhost"}
    (tmp_path / "data").mkdir()
    run(programs / "blink-server", "migrate", "--quiet", cwd=tmp_path, **settings)
    settings["DJANGO_SETTINGS_MODULE"] = "server.config.settings"
    page = run(programs / "python", "-c", SHOW_A_PAGE, cwd=tmp_path, **settings)
    assert page.lower().startswith("<!doctype html")
    assert (tmp_path / "env/share/blinklog/server/systemd/blinklog-serve.service").exists()
