"""The agent's PiCamera on the real picamera2 and libcamera. Prints what it found as JSON.

    picamera_program.py PORTRAIT.jpg          frames, another start, frames that stay away
    picamera_program.py PORTRAIT.jpg --hang   libcamera itself hangs; needs systemd's watchdog

Four things are not as on a Pi. libcamera's camera without hardware, `virtual`, has no raw stream,
whose modes picamera2 asks for: it gets one made up. Debian's kernel has no dma_heap for picamera2's
buffers: libcamera allocates them. `virtual` does not say how many bytes of a buffer it used: they
are all mapped. And `virtual` has NV12 alone, which PiCamera refuses; the
portrait is grey, and a grey picture has the same bytes in NV12 and I420: it is called I420.
"""

import faulthandler
import json
import mmap
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import picamera2.picamera2
from picamera2 import Picamera2
from picamera2.allocators import LibcameraAllocator

from agent import ear
from agent.camera import pi
from agent.errors import CameraError
from agent.face import models, tracker
from agent.records import Frame
from agent.system import systemd

WIDTH, HEIGHT, FPS = 640, 480, 10.0
WAIT_S = 90.0  # for a frame that comes; the emulation is slow, more so on a busy host
AWAY_S = 3.0  # for one that doesn't
LONGEST_S = 300.0  # for all of it; then the tracebacks of all threads
STRIDE = 704
# Stops the threads as a debugger does, until its own input ends. See ptrace(2): seize, interrupt.
FREEZER = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
for thread in map(int, sys.argv[1:]):
    for request in (0x4206, 0x4207):
        if libc.ptrace(request, thread, 0, 0):
            sys.exit(f"ptrace: {ctypes.get_errno()}")
print("frozen", flush=True)
sys.stdin.read()
"""


def refusal(call: Any) -> str:
    """What CameraError says."""
    try:
        call()
    except CameraError as error:
        return str(error)
    raise SystemExit("expected a CameraError")


def call_it_i420() -> None:
    """From here on, libcamera's NV12 is called I420."""
    configure = Picamera2.configure

    def relabelled(self: Any, camera_config: Any = "preview") -> Any:
        configured = configure(self, camera_config)
        for name in ("main", "lores"):
            self.camera_config[name]["format"] = pi.FORMAT
        return configured

    Picamera2.configure = relabelled


def threads() -> set[str]:
    return {each.name for each in Path("/proc/self/task").iterdir()}


def frames(camera: pi.PiCamera, count: int) -> list[Frame]:
    found = [each for each in (camera.read(WAIT_S) for _ in range(count)) if each is not None]
    assert len(found) == count
    times = [each.time_s for each in found]
    assert times == sorted(set(times)), times
    assert all(abs(each - time.monotonic()) < 300 for each in times), "the clock of the sensor"
    return found


def ear_of(frame: Frame) -> float | None:
    face_tracker = tracker.open_tracker(models.default_cache(), 2)
    return ear.eye_sample(frame.time_s, face_tracker.find(frame)).ear


def unpadded_as_picamera2_hands_it_out(camera: pi.PiCamera) -> bool:
    """A row longer than the picture, which only hardware makes: by picamera2's own code."""
    rng = np.random.default_rng(3)
    wanted = rng.integers(0, 256, (HEIGHT * 3 // 2, WIDTH), np.uint8)
    luma = np.full((HEIGHT, STRIDE), 255, np.uint8)
    luma[:, :WIDTH] = wanted[:HEIGHT]
    chroma = np.full((HEIGHT, STRIDE // 2), 255, np.uint8)
    chroma[:, : WIDTH // 2] = wanted[HEIGHT:].reshape(HEIGHT, WIDTH // 2)
    buffer = np.concatenate([luma.ravel(), chroma.ravel()])
    stream = {"format": pi.FORMAT, "size": (WIDTH, HEIGHT), "stride": STRIDE}
    array = camera._camera.helpers.make_array(buffer, stream)
    return bool(np.array_equal(pi._unpadded(array, WIDTH, HEIGHT), wanted))


def no_frames(camera: pi.PiCamera) -> str:
    """All buffers are taken, as if the sensor delivered nothing; libcamera itself answers."""
    held = []
    while True:
        try:
            held.append(camera._camera.capture_request(wait=AWAY_S))
        except TimeoutError:
            break
    camera._camera.cancel_all_and_flush()
    said = refusal(lambda: camera.read(AWAY_S))
    for each in held:
        each.release()
    return said


class WholeBuffer:
    """What picamera2 maps of a frame's buffer: all of its planes, which lie in one file."""

    def __init__(self, _allocator: Any, buffer: Any, _write: bool) -> None:
        self._planes = buffer.planes

    def __enter__(self) -> mmap.mmap:
        size = sum(each.length for each in self._planes)
        self._mapped = mmap.mmap(self._planes[0].fd, size)
        return self._mapped

    def __exit__(self, *_: object) -> None:
        self._mapped.close()


def without_a_pi() -> None:
    """From here on, picamera2 needs neither a sensor's raw modes nor dma_heap."""
    modes = [{"format": "NV12", "size": (2 * WIDTH, 2 * HEIGHT)}]
    Picamera2._get_raw_modes = lambda _camera: modes
    picamera2.picamera2.DmaAllocator = lambda: None
    configure = Picamera2.configure

    def allocated(self: Any, camera_config: Any = "preview") -> Any:
        self.allocator = LibcameraAllocator(self.camera)
        self.allocator.sync = WholeBuffer
        return configure(self, camera_config)

    Picamera2.configure = allocated


def watched(portrait: Path) -> dict[str, Any]:
    """Everything but the hang."""
    found: dict[str, Any] = {"refused": refusal(lambda: pi.PiCamera(WIDTH, HEIGHT, FPS))}
    call_it_i420()
    camera = pi.PiCamera(WIDTH, HEIGHT, FPS)
    camera.start()
    first = frames(camera, 5)[-1]
    grey = cv2.imread(str(portrait), cv2.IMREAD_GRAYSCALE)
    found["size"] = [first.width, first.height]
    found["off"] = float(np.abs(first.pixels[:HEIGHT].astype(int) - grey).max())
    found["chroma"] = sorted({int(each) for each in np.unique(first.pixels[HEIGHT:])})
    found["ear"] = ear_of(first)
    camera.stop()
    camera.start()
    frames(camera, 2)
    found["unpadded"] = unpadded_as_picamera2_hands_it_out(camera)
    found["no frames"] = no_frames(camera)
    camera.stop()
    camera.start()
    frames(camera, 2)
    camera.stop()
    camera.close()
    return found


def hanging() -> dict[str, Any]:
    """The threads of libcamera are stopped: reading gives up in time.

    What was found until then is printed. Stopping waits for libcamera and holds Python's lock
    meanwhile, so that nothing in this process can bound it: systemd does.
    """
    before = threads()
    call_it_i420()
    camera = pi.PiCamera(WIDTH, HEIGHT, FPS)
    camera.start()
    frames(camera, 2)
    ours = {str(each.native_id) for each in threading.enumerate()}
    theirs = sorted(threads() - before - ours)
    names = [Path(f"/proc/self/task/{each}/comm").read_text().strip() for each in theirs]
    freezer = subprocess.Popen(
        [sys.executable, "-c", FREEZER, *theirs],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert freezer.stdout is not None
    assert freezer.stdout.readline() == "frozen\n"
    found: dict[str, Any] = {"threads": names}

    def read_on() -> None:
        for _ in range(20):  # some frames were ready before
            camera.read(AWAY_S)

    for name, call in (("read", read_on), ("stop", camera.stop), ("close", camera.close)):
        begun = time.monotonic()
        found[name] = refusal(call)
        found[f"{name} took"] = round(time.monotonic() - begun, 1)
        if name == "read":
            tell(found)
            systemd.ready()  # from here on the watchdog counts
    return found


def tell(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    faulthandler.dump_traceback_later(LONGEST_S, exit=True)
    without_a_pi()
    tell(hanging() if sys.argv[2:] else watched(Path(sys.argv[1])))
