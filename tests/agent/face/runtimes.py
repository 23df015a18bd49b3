"""Which runtimes are installed."""

import subprocess
import sys


def installed(runtime: str) -> bool:
    return subprocess.run([sys.executable, "-c", f"import {runtime}"], check=False).returncode == 0
