"""The agent's exceptions: one base class, each subclass also a standard type."""


class AgentError(Exception):
    """An error the agent can explain. The message says what was expected and what was found."""


class ConfigError(AgentError, ValueError):
    """A configuration value is invalid."""


class CameraError(AgentError, OSError):
    """The camera or the video can't be opened, or no longer delivers frames."""


class ModelError(AgentError, RuntimeError):
    """A model file is missing, has the wrong hash or tensor shapes, or no runtime can run it."""


class ControlsError(AgentError, OSError):
    """The GPIO pins of the button or the light can't be used."""


class StoreError(AgentError, OSError):
    """The store can't be opened, read or written."""


class StoreBusyError(StoreError):
    """Another program has locked the database. Nothing is wrong with it or with the disk."""


class TraceError(AgentError, ValueError):
    """A recorded trace can't be read."""


class DeliveryError(AgentError, OSError):
    """A transport failed to deliver.

    `retry_after_s` is the delay that the server asked for, in seconds, or None. `lasts_s` is for
    how many seconds the problem is reported even if the transport works again.
    """

    def __init__(
        self, message: str, retry_after_s: float | None = None, *, lasts_s: float = 0.0
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.lasts_s = lasts_s
