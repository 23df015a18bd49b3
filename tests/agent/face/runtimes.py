"""Which runtimes are installed, and how to run a model on one."""

import subprocess
import sys
from typing import Any

from agent.face.models import Interpreter


def installed(runtime: str) -> bool:
    return subprocess.run([sys.executable, "-c", f"import {runtime}"], check=False).returncode == 0


def run(model: Interpreter, picture: Any) -> list[Any]:
    """All outputs of a model."""
    model.tensor(model.get_input_details()[0]["index"])()[:] = picture
    model.invoke()
    return [model.tensor(each["index"])().copy() for each in model.get_output_details()]
