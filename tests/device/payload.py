"""What the device is brought on a stick: three wheel houses, films, its configuration, a CA."""

import re
import shutil
from pathlib import Path

from scripts.portrait import demo_schedule, load_portrait, write_video
from tests.device import host
from tests.device.sockets import Lever
from tests.e2e.installation import ROOT, toml

FACE_S, FACE_FPS = 8.0, 20.0  # 160 frames of a third of a second each, there
LOOP_S, LOOP_FPS = 10.0, 2.0  # what the emulated device keeps up with
TREE = [
    "agent",
    "server",
    "models",
    "deploy",
    "requirements",
    "pyproject.toml",
    "README.md",
    "LICENSE",
]
NEXT, BROKEN = "98.0.0", "99.0.0"
HOUSE_S = 900


def gather(folder: Path, ca_file: Path, *, upgrades: bool) -> Path:
    """All of it, in `folder`; the two next releases only if there will be `upgrades`."""
    portrait = load_portrait()
    # FFmpeg decodes Motion JPEG half a grey level darker on arm64, so what is compared is lossless.
    films = (("face.mkv", FACE_S, FACE_FPS), ("loop.avi", LOOP_S, LOOP_FPS))
    for name, seconds, fps in films:
        schedule = demo_schedule(seconds)
        write_video(folder / name, portrait, schedule, seconds=seconds, fps=fps)
    shutil.copy(ca_file, folder / "ca.crt")
    (folder / "agent.toml").write_text(configuration())
    house(ROOT, folder / "first")
    if not upgrades:
        return folder
    with_tree = folder.with_name("trees")
    house(_tree(with_tree / "next", NEXT), folder / "next")
    house(broken_tree(with_tree / "broken"), folder / "broken")
    shutil.rmtree(with_tree)
    return folder


def configuration() -> str:
    """For the emulated hardware: a film as camera, and the GPIO lines that there are."""
    camera = {"source": "replay", "file": "/srv/loop.avi", "loop": True, "fps": LOOP_FPS}
    sections = {
        "camera": camera | {"timeout_s": 15.0},
        "model": {"threads": 2},
        "session": {"checkpoint_s": 2.0},
        "controls": {"button_gpio": Lever.BUTTON, "led_gpio": Lever.LIGHT},
    }
    return "".join(toml(name, keys) for name, keys in sections.items())


def house(tree: Path, made: Path) -> None:
    """A wheel house of what is in `tree`, by its own command."""
    options = ["--machine", "aarch64", "--python", "3.13"]
    host.run(tree / "deploy" / "wheel-house", *options, made, timeout_s=HOUSE_S)


def _tree(folder: Path, version: str) -> Path:
    """A copy of what a release is made of, with another version."""
    folder.mkdir(parents=True)
    for name in TREE:
        source, there = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, there, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, there)
    for name in ("pyproject.toml", "agent/__init__.py"):
        _replace(folder / name, r'(?m)^(version|__version__) = "[^"]*"', rf'\1 = "{version}"')
    return folder


def broken_tree(folder: Path) -> Path:
    """A copy of a release whose service does not stand."""
    tree = _tree(folder, BROKEN)
    _break(tree)
    return tree


def _break(tree: Path) -> None:
    """Make a release that passes its self-test, and whose service then does not stand."""
    begin = r"(    def run\(self, stopping: threading\.Event\) -> None:\n)"
    _replace(tree / "agent/watch/loop.py", begin, r"\1        raise SystemExit(3)\n")


def _replace(path: Path, pattern: str, text: str) -> None:
    changed, times = re.subn(pattern, text, path.read_text(), count=1)
    if times != 1:
        raise host.HostError(f"{path}: expected {pattern}, found none")
    path.write_text(changed)
