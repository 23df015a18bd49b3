"""The agent's few errors: one base, each also a standard type."""


class AgentError(Exception):
    """Something the agent can explain: the message says what was expected and what was found."""


class ConfigError(AgentError, ValueError):
    """A setting that can't work."""


class CameraError(AgentError, OSError):
    """The camera or the video can't be opened, or stopped giving frames."""


class ModelError(AgentError, RuntimeError):
    """A model file is missing, has the wrong hash or shape, or no runtime can run it."""


class ControlsError(AgentError, OSError):
    """The button's or the light's pins can't be used."""


class StoreError(AgentError, OSError):
    """The store can't be opened, read or written."""


class TraceError(AgentError, ValueError):
    """A recorded trace can't be read."""


class DeliveryError(AgentError, OSError):
    """A transport could not deliver. `retry_after_s` is the server's own wish, in seconds."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
