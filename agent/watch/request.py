"""What a press or a command asks for, and the activity of a session that it starts."""

from dataclasses import dataclass, field
from typing import Any

from agent.records import Activity, Document


@dataclass(frozen=True, slots=True)
class Request:
    """An action of the button, or a command; `action` is None if nothing is asked for."""

    action: str | None = None
    command: Document = field(default_factory=dict)

    @classmethod
    def of(cls, command: Document | None) -> "Request":
        """Return what a command from the store asks for."""
        return cls() if command is None else cls(command["command"], command)

    @property
    def starts(self) -> bool:
        """Whether a session is to start."""
        return self.action in ("start", "start activity")

    @property
    def session_id(self) -> str | None:
        """The id that a command gives to its session."""
        return self.command.get("session_id")


@dataclass(frozen=True, slots=True)
class Activities:
    """The configured activities: of every session, and of those that the second button starts."""

    always: Activity | None = None
    button: Activity | None = None

    def of(self, request: Request) -> Any:
        """Return the activity of a requested session, or None.

        A command's activity comes first. It is None if the command named one that this release does
        not know: then the configured one may be wrong. The second button's comes next.
        """
        if "activity" in request.command:
            return request.command["activity"]
        if request.action == "start activity":
            return self.button
        return self.always
