"""The device of these tests, by itself and with its worker thread."""

from tests.agent.watch.device import device, threaded

__all__ = ["device", "threaded"]
