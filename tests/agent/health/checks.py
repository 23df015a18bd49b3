"""What a check finds, and an enrolled device's settings."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent import config
from agent.clock import Clock
from agent.config import AgentConfig
from agent.health.doctor import Check, Finding, looked
from tests.agent.servers import TOKEN

DEVICE = "0193a1b2-0000-7000-8000-000000000001"


def found(look: Callable[[], Finding]) -> Finding:
    """As the command sees it: an AgentError is a finding too."""
    return looked(Check("this", 10, look, "mend it"))


@dataclass(frozen=True, slots=True)
class FixedClock(Clock):
    """A clock that a test has set."""

    at: datetime
    sure: bool = True

    def now(self) -> datetime:
        return self.at

    def synchronized(self) -> bool:
        return self.sure


def settings(tmp_path: Path, **variables: str) -> AgentConfig:
    """A configuration of its own, its secrets beside it."""
    file = tmp_path / "agent.toml"
    environ = {f"BLINKLOG_AGENT_{name}": text for name, text in variables.items()}
    return config.parse("", file, environ)


def enrolled(tmp_path: Path, url: str, token: str = TOKEN, **variables: str) -> AgentConfig:
    file = tmp_path / "api-token"
    file.touch(mode=0o600)
    file.write_text(token)
    return settings(tmp_path, SERVER_URL=url, SERVER_DEVICE=DEVICE, **variables)
