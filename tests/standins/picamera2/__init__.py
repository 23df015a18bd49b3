"""What is used of picamera2, as its source has it: the same names, parameters and habits.

`tests/agent/camera/test_pi_standin.py` compares it with the pinned packages. With
`BLINKLOG_STANDIN` it is the camera of a real process: `silent:30` gives no more frames after the
30th, `stuck:30` does not even come back.
"""

import os
import threading
import time
from typing import Any

import numpy as np

FOR_EVER_S = 600.0


def i420(width: int, height: int) -> Any:
    """A picture in which neighbouring samples differ."""
    samples = width * height * 3 // 2
    return (np.arange(samples) * 7 % 251).astype(np.uint8).reshape(height * 3 // 2, width)


def padded(picture: Any, stride: int) -> Any:
    """As libcamera's buffer has it: each row of each plane filled up, chroma to half the stride."""
    rows, width = picture.shape
    height = rows * 2 // 3
    luma = np.full((height, stride), 255, np.uint8)
    luma[:, :width] = picture[:height]
    chroma = np.full((height, stride // 2), 255, np.uint8)
    chroma[:, : width // 2] = picture[height:].reshape(height, width // 2)
    return np.concatenate([luma, chroma.reshape(height // 2, stride)])


class CompletedRequest:
    """One frame: its picture and what is known of it, until it is given back."""

    def __init__(self, request: Any, picam2: "Picamera2") -> None:
        self._time_s = request
        self._camera = picam2

    def get_metadata(self) -> dict[str, Any]:
        return {"SensorTimestamp": round(self._time_s * 1e9), "ExposureTime": 9000}

    def make_array(self, name: str) -> Any:
        if self._camera.faulty:
            raise RuntimeError("buffer lost")
        width, height = self._camera.camera_configuration()[name]["size"]
        return padded(i420(width, height), self._camera.stride or width)

    def release(self) -> None:
        self._camera.released += 1


class Picamera2:
    """A camera. `stamps_s` are the times of the frames to come, or None for frames as they come.

    `stride` and `pixel_format` are libcamera's choice. A call in `hangs` waits for `gate`; `faulty`
    ones fail.
    """

    instances: list["Picamera2"] = []
    hangs: frozenset[str] = frozenset()
    gate = threading.Event()
    stride = 0
    pixel_format = "YUV420"

    def __init__(
        self,
        camera_num: Any = 0,
        verbose_console: Any = None,
        tuning: Any = None,
        allocator: Any = None,
    ) -> None:
        Picamera2.instances.append(self)
        self.calls: list[str] = []
        self.configuration: dict[str, Any] = {}
        self.controls: dict[str, Any] = {}  # for the next start: it empties them
        self.durations_us: list[Any] = []  # with which it was started
        self.stamps_s: list[float] | None = None
        self.waits: list[float] = []
        self.released = 0
        self.faulty = False
        self.started = False
        self._waits_for_ever = False
        how, _, frames = os.environ.get("BLINKLOG_STANDIN", "").partition(":")
        self._how, self._frames_left = how, int(frames or 1 << 62)

    def create_video_configuration(
        self,
        main: Any = {},  # noqa: B006 - as it is there
        lores: Any = None,
        raw: Any = {},  # noqa: B006
        transform: Any = None,
        colour_space: Any = None,
        buffer_count: Any = 6,
        controls: Any = {},  # noqa: B006
        display: Any = "main",
        encode: Any = "main",
        queue: Any = True,
        sensor: Any = {},  # noqa: B006
        use_case: Any = "video",
    ) -> dict[str, Any]:
        for stream in (main, lores):
            bad = set(stream) - {"format", "size", "stride", "preserve_ar"}
            if bad:
                raise ValueError(f"Bad key {bad}")
        return {"main": dict(main), "lores": dict(lores), "controls": dict(controls)}

    def configure(self, camera_config: Any = None) -> None:
        width, height = camera_config["lores"]["size"]
        self.configuration = camera_config
        self.controls = dict(camera_config["controls"])
        size = (width - width % 2, height - height % 2)
        camera_config["lores"] |= {"size": size, "format": self.pixel_format}

    def camera_configuration(self) -> dict[str, Any]:
        return self.configuration

    def set_controls(self, controls: Any) -> None:
        self.controls |= controls

    def start(self, config: Any = None, show_preview: Any = False) -> None:
        self._call("start")
        self.durations_us.append(self.controls.get("FrameDurationLimits"))
        self.controls = {}
        self.started = True

    def stop(self) -> None:
        if self._waits_for_ever:  # its turn comes after what waits for a frame
            self.gate.wait(10)
        self._call("stop")
        self.started = False

    def close(self) -> None:
        self._call("close")

    def cancel_all_and_flush(self) -> None:
        self.calls.append("cancel_all_and_flush")
        self._waits_for_ever = False

    def capture_request(
        self, wait: Any = None, signal_function: Any = None, flush: Any = None
    ) -> CompletedRequest:
        self.waits.append(wait)
        if "capture_request" in self.hangs:
            self.gate.wait(10)
        return CompletedRequest(self._next_s(wait), self)

    def _next_s(self, wait: float) -> float:
        """When the next frame was taken."""
        if self.stamps_s is not None:
            if self.started and self.stamps_s:
                return self.stamps_s.pop(0)
        elif self._frames_left > 0:
            self._frames_left -= 1
            time.sleep(self.durations_us[-1][0] / 1e6)
            return time.monotonic()
        else:
            time.sleep(FOR_EVER_S if self._how == "stuck" else wait)
        self._waits_for_ever = True
        raise TimeoutError

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.hangs:
            self.gate.wait(10)
        if self.faulty:
            raise RuntimeError(f"{name} failed")
