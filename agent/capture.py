"""Cameras: the interface they share, and `open_camera`, which opens the configured one.

A camera is created once, and started and stopped for each session. It never queues frames: `read`
returns the newest frame, and frames that were not read in time are dropped and counted. Every wait
has a timeout: a camera that hangs or is unplugged raises CameraError.
"""

from typing import Protocol

from agent.camera.pi import PiCamera
from agent.camera.replay import ReplayCamera
from agent.camera.usb import UsbCamera
from agent.config import CameraConfig
from agent.errors import CameraError
from agent.records import Frame

__all__ = ["Camera", "ReplayCamera", "UsbCamera", "open_camera"]


class Camera(Protocol):
    """A source of frames. `frames_dropped` counts the frames lost since `start`.

    `width` and `height` are in pixels.
    """

    source: str
    width: int
    height: int
    frames_dropped: int

    def check(self) -> None:
        """Raise CameraError if the camera is known, without starting it, to be unplugged."""

    def start(self) -> None:
        """Start capturing. Raises CameraError."""

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest unread frame, or None at the end of a video.

        Raises CameraError after `timeout_s` seconds without a frame, and on any fault.
        """

    def stop(self) -> None:
        """Stop capturing. Raises CameraError if the camera does not stop in time."""

    def close(self) -> None:
        """Release the device or file for good."""


def open_camera(config: CameraConfig) -> Camera:
    """Open the configured camera. A replayed file plays in real time. Raises CameraError."""
    if config.source == "picamera2":
        return PiCamera(config.width, config.height, config.fps)
    if config.source == "usb":
        return UsbCamera(config.device, config.width, config.height, config.fps)
    if config.file is None:
        raise CameraError("source 'replay': expected a video file, found none")
    return ReplayCamera(config.file, realtime=True, loop=config.loop, fps=config.fps)
