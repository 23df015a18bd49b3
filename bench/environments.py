"""Other Python environments for comparison, made on demand."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOO_NEW = (3, 13)
"""MediaPipe 0.10.21 has wheels up to Python 3.12."""

PIP_TIMEOUT_S = 1800.0
"""Some 300 MB, on a slow line."""


def tflite_python() -> Path | None:
    """The Python that has tflite-runtime: $BLINKLOG_TFLITE_PYTHON, else that of .venv-tflite."""
    named = os.environ.get("BLINKLOG_TFLITE_PYTHON")
    path = Path(named) if named else ROOT / ".venv-tflite" / "bin" / "python"
    return path if path.exists() else None


def mediapipe_python() -> Path | None:
    """The Python that has MediaPipe: $BLINKLOG_MEDIAPIPE_PYTHON, else .venv-mediapipe's.

    That is made by pip where it is missing or of other pins. None, and a loud line, if it can't be.
    """
    return _pinned("mediapipe", "MediaPipe", "BLINKLOG_MEDIAPIPE_PYTHON")


def thingsboard_python() -> Path | None:
    """The same with ThingsBoard's gateway."""
    return _pinned(
        "thingsboard-gateway", "ThingsBoard's gateway", "BLINKLOG_THINGSBOARD_GATEWAY_PYTHON"
    )


def _pinned(name: str, what: str, variable: str) -> Path | None:
    """The Python of .venv-NAME, made of requirements/NAME.txt, or the one that is named."""
    if named := os.environ.get(variable):
        if not Path(named).exists():
            loud(f"no {what} to compare with: nothing at {variable}={named}")
            return None
        return Path(named)
    folder = ROOT / f".venv-{name}"
    requirements = ROOT / "requirements" / f"{name}.txt"
    mark = folder / ".made-of"
    pins = requirements.read_text()
    if mark.exists() and mark.read_text() == pins:
        return folder / "bin" / "python"
    base = _old_python()
    if base is None:
        loud(f"no {what} to compare with: it needs Python 3.11 or 3.12, none found here")
        return None
    loud(f"making {folder.name} from {requirements.name}")
    python = folder / "bin" / "python"
    quietly = "--quiet", "--disable-pip-version-check"
    try:
        _run(base, "-m", "venv", "--clear", folder)
        _run(python, "-m", "pip", "install", *quietly, "-r", requirements)
    except (subprocess.SubprocessError, OSError) as error:
        said = getattr(error, "stderr", None) or str(error)
        loud(f"no {what} to compare with: {' '.join(said.split()[-40:])}")
        return None
    mark.write_text(pins)
    return python


def loud(line: str) -> None:
    """On standard error, so that nobody takes a gap for a result."""
    print(f"!! {line}", file=sys.stderr, flush=True)


def _run(*command: str | Path) -> None:
    subprocess.run(
        [str(each) for each in command],
        capture_output=True,
        text=True,
        timeout=PIP_TIMEOUT_S,
        check=True,
    )


def _old_python() -> Path | None:
    """An interpreter that MediaPipe has wheels for."""
    if sys.version_info < TOO_NEW:
        return Path(sys.executable)
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for name in ("3.12", "3.11"):
        if found := shutil.which(f"python{name}"):
            return Path(found)
        if installed := sorted(versions.glob(f"{name}*/bin/python3")):
            return installed[-1]
    return None
