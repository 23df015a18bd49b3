"""Cameras: the interface they share (`Camera`), and `open_camera`, which opens the configured one.

A camera is created once, and started and stopped for each session. It never queues frames: `read`
returns the newest frame, and frames that were not read in time are dropped and counted. Every wait
has a timeout: a camera that hangs or is unplugged raises CameraError.
"""

from agent.camera.pi import PiCamera
from agent.camera.replay import ReplayCamera
from agent.camera.usb import UsbCamera
from agent.config import CameraConfig
from agent.errors import CameraError
from agent.records import Camera

__all__ = ["Camera", "ReplayCamera", "UsbCamera", "open_camera"]


def open_camera(config: CameraConfig) -> Camera:
    """Open the configured camera. A replayed file plays in real time. Raises CameraError."""
    if config.source == "picamera2":
        return PiCamera(config.width, config.height, config.fps)
    if config.source == "usb":
        return UsbCamera(config.device, config.width, config.height, config.fps)
    if config.file is None:
        raise CameraError("source 'replay': expected a video file, found none")
    return ReplayCamera(config.file, realtime=True, loop=config.loop, fps=config.fps)
