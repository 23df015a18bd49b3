"""A new device becomes somebody's without a shell; and the Pi's camera library, for real.

Each of these begins with the disk of a device that was just installed and is nobody's yet. What is
given to it is written onto its card before the power comes on.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2

from agent import ear
from agent.enrol.authority import fingerprint
from agent.enrol.codes import ServerCode
from agent.face import models, tracker
from agent.records import Frame
from scripts.portrait import demo_schedule, load_portrait, sway
from tests.agent.camera.shown_codes import Held, picture
from tests.device.front import https_before
from tests.device.image import NETWORKS
from tests.device.installation import HOST
from tests.device.payload import LOOP_FPS
from tests.device.scene import CONFIG, PATIENCE_S, Scene
from tests.device.sockets import DeviceError
from tests.device.steps_everyday import expect

[(SSID, PASSWORD)] = NETWORKS.items()
WIFI_CODE = f"WIFI:S:{SSID.replace(';', chr(92) + ';')};T:WPA;P:{PASSWORD};;"
CODE_S, FACE_S = 6.0, 8.0  # of the film, for each of the two codes and for the face
ENROLLED_S = 900.0  # two codes found in frames that take seconds each
JOINED = "/run/NetworkManager/stand-in/disk"
PLACES = (
    f"/run/blinklog-watch /run/blinklog-join /etc/blinklog /var/lib/blinklog /var/log {JOINED}/.."
)
PYTHON = "/opt/blinklog/current/bin/python"
ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PROGRAM = "/usr/local/lib/test-picamera.py"
VIRTUAL = "/usr/share/libcamera/pipeline/virtual/virtual.yaml"
PICAMERA_S = 900.0
HUNG_S = 600.0
BOUNDED_S = 30.0  # libcamera hangs: each call gives up in time
EAR_APART = 0.01


def shown_codes(scene: Scene) -> str:
    """A phone is held before the camera: first the Wi-Fi's code, then the server's."""
    with _https(scene) as address:
        code = _server_code(scene, address)
        film = scene.folder / "phone.avi"
        _film(film, [WIFI_CODE, code.text()])
        config = (scene.payload / "agent.toml").read_text().replace("loop.avi", film.name)
        _new(scene, {"/srv/phone.avi": film, CONFIG: _file(scene, "agent.toml", config)})
        scene.boot()
        setup = _enrolled(scene, "camera")
        _check_joined(scene)
        _check_secrets(scene, code)
        session = _first_session(scene, CODE_S * 2 + FACE_S)
    return f"{setup['outcome']}; the first session: {_told(session)}"


def boot_file(scene: Scene) -> str:
    """A file on the boot partition says the same; it is gone afterwards."""
    with _https(scene) as address:
        code = _server_code(scene, address)
        wifi = f'[wifi]\nssid = "{SSID}"\npassword = "{PASSWORD}"\n'
        file = _file(scene, "blinklog.toml", f'{wifi}[server]\ncode = "{code.text()}"\n')
        _new(scene, {"/boot/firmware/blinklog.toml": file})
        scene.boot()
        setup = _enrolled(scene, "boot file")
        _check_joined(scene)
        _check_secrets(scene, code)
        scene.machine.run("! test -e /boot/firmware/blinklog.toml")
        session = _first_session(scene, 0)
    return f"{setup['outcome']}; the first session: {_told(session)}"


def _new(scene: Scene, files: dict[str, Path]) -> None:
    """The disk of a device that is nobody's, with these files on it; the power is off."""
    scene.machine.cut()
    scene.machine.take_disk(scene.installed)
    scene.machine.put(files)


def _file(scene: Scene, name: str, content: str) -> Path:
    path = scene.folder / name
    path.write_text(content)
    return path


@contextlib.contextmanager
def _https(scene: Scene) -> Iterator[str]:
    """The server's address with TLS, as the device has to say it."""
    server, folder = scene.server, scene.server.folder
    port = int(server.url.rpartition(":")[2])
    with https_before(port, folder / "server.crt", folder / "server.key") as front:
        yield f"https://{HOST}:{front}"


def _server_code(scene: Scene, address: str) -> ServerCode:
    code = scene.server.claim_code(scene.person, scene.label)
    return ServerCode(address, code, fingerprint(scene.server.broker.ca_file.read_text()))


def _film(path: Path, codes: list[str]) -> None:
    """A phone with one code after the other, tilted, out of focus and with glare; then a face."""
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), LOOP_FPS, (640, 480))
    for text in codes:
        for number in range(round(CODE_S * LOOP_FPS)):
            held = Held(side=240 + number, turn=number, tilt=0.15, blur=1.2, glare=80)
            video.write(cv2.cvtColor(picture(text, held), cv2.COLOR_GRAY2BGR))
    portrait, schedule = load_portrait(), demo_schedule(FACE_S)
    for number in range(round(FACE_S * LOOP_FPS)):
        time_s = number / LOOP_FPS
        video.write(portrait.frame(schedule.openness(time_s), **sway(time_s)))
    video.release()


def _enrolled(scene: Scene, source: str) -> dict[str, Any]:
    """How it became somebody's, once it has, and is ready for the button."""
    done = "grep -qs enrolled /run/blinklog-join/answer.json"
    scene.machine.until(done, "the device is enrolled", ENROLLED_S)
    ready = 'blink-agent status --json | grep \'"state": "ready"\''
    scene.machine.until(ready, "it looks for codes no more", PATIENCE_S)
    setup: dict[str, Any] = json.loads(scene.agent("status --json"))["setup"]
    expect((setup["outcome"], setup["source"]), ("enrolled", source), "how it was set up")
    return setup


def _check_joined(scene: Scene) -> None:
    ssid = "".join(f"{each};" for each in SSID.encode())
    scene.machine.run(f"grep -q '^ssid={ssid}$' {JOINED}/*.nmconnection")


def _check_secrets(scene: Scene, code: ServerCode) -> None:
    """The claim code is nowhere, the Wi-Fi's password with NetworkManager alone."""
    modes = scene.machine.run("stat -c '%a %U' /etc/blinklog/api-token /etc/blinklog/mqtt-password")
    expect(set(modes.split("\n")) - {""}, {"600 root"}, "the secrets' files")
    found = scene.machine.try_to(f"grep -rlsE '{PASSWORD}|{code.code}' {PLACES}")[1].split()
    left = {each for each in found if not each.endswith((".nmconnection", "networks.json"))}
    expect(left, set(), "files with the Wi-Fi's password or the claim code")


def _first_session(scene: Scene, at_least_s: float) -> dict[str, Any]:
    """By the button, as the server has it in the end."""
    session_id = scene.begin_by_button()
    scene.await_measured(session_id, max(at_least_s, 4.0))
    session = scene.end_by_button(session_id)
    if not session["frames"] or not session["valid_s"]:
        raise DeviceError(f"expected frames with a face, found {session}")
    return session


def _told(session: dict[str, Any]) -> str:
    return f"{session['duration_s']} s, {session['frames']} frames, {session['valid_s']} s valid"


def picamera2(scene: Scene) -> str:
    """picamera2 on libcamera's camera without hardware: its frames, and its end in time."""
    portrait = scene.folder / "portrait.jpg"
    grey = cv2.cvtColor(load_portrait().frame(1.0), cv2.COLOR_BGR2GRAY)
    # libcamera decodes by libjpeg's fast transform: up to 13 off at OpenCV's quality of 95.
    coded = [cv2.IMWRITE_JPEG_QUALITY, 85]
    cv2.imwrite(str(portrait), cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), coded)
    text = (scene.payload / "agent.toml").read_text().replace('"replay"', '"picamera2"')
    lines = [each for each in text.splitlines() if not each.startswith(("file", "loop"))]
    config = _file(scene, "agent.toml", "\n".join(lines) + "\n")
    files = {"/srv/portrait.jpg": portrait, CONFIG: config}
    _new(scene, {**files, PROGRAM: HERE / "picamera_program.py", VIRTUAL: HERE / "virtual.yaml"})
    scene.machine.boot()
    # The service itself, in its sandbox, gets as far as picamera2 does with such a camera.
    fault = "can.t be opened: Camera __init__ sequence did not complete"
    scene.machine.until(f"blink-agent status | grep -q '{fault}'", "a clear fault", PATIENCE_S)
    scene.machine.run("systemctl stop blinklog-watch")
    found = _run_picamera(scene)
    _check_frames(found, portrait)
    other = "expected pictures in YUV420, found NV12"
    if other not in found["refused"] or "no frame within" not in found["no frames"]:
        raise DeviceError(f"expected to be refused, and no frames, found {found}")
    hung, ended = _hang_libcamera(scene)
    slow = [name for name in hung if name.endswith(" took") and hung[name] > BOUNDED_S]
    expect(slow, [], f"what did not give up within {BOUNDED_S:.0f} s: {hung}")
    return (
        f"EAR {found['ear']:.3f}; libcamera hung: read ended after {hung['read took']} s,"
        f" the process by {ended}"
    )


def _check_frames(found: dict[str, Any], portrait: Path) -> None:
    expect(found["size"], [640, 480], "the size")
    expect((found["chroma"], found["unpadded"]), ([128], True), "chroma, rows without padding")
    if found["off"] > 8:  # libjpeg's two transforms are 3 apart
        raise DeviceError(f"expected the portrait, found a picture that is {found['off']} off")
    here = _ear_here(portrait)
    if found["ear"] is None or abs(found["ear"] - here) > EAR_APART:
        raise DeviceError(f"expected an EAR of {here}, found {found['ear']}")


def _ear_here(portrait: Path) -> float:
    """Of the same picture, on this host."""
    bgr = cv2.imread(str(portrait))
    assert bgr is not None
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    i420 = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)
    i420[: grey.shape[0]], i420[grey.shape[0] :] = grey, 128
    face_tracker = tracker.open_tracker(models.default_cache(), 2)
    found = ear.eye_sample(0.0, face_tracker.find(Frame(0.0, i420, "yuv420"))).ear  # type: ignore[arg-type]
    assert found is not None
    return found


def _run_picamera(scene: Scene) -> dict[str, Any]:
    """What the program of the device found, and how long it took to end after it had said so."""
    program = f"{PYTHON} {PROGRAM} /srv/portrait.jpg"
    log, out = "/run/picamera.log", "/run/picamera.json"
    command = f"{program} >{out} 2>{log} & until test -s {out} || ! kill -0 $!; do sleep 0.2; done"
    told = f'{command}; s=$SECONDS; wait $! || echo "ended with $?" >>{log}; cat {out}'
    said = scene.machine.run(f"{told}; echo $((SECONDS - s)); tail -c 20000 {log} >&2", PICAMERA_S)
    (scene.folder / "picamera.log").write_text(said)
    lines = said.splitlines()
    if not lines or not lines[0].startswith("{"):
        raise DeviceError(f"expected what was found, found {said[-3000:]}")
    return {**json.loads(lines[0]), "ended after": int(lines[1])}


def _hang_libcamera(scene: Scene) -> tuple[dict[str, Any], str]:
    """What the program found, and how systemd says that it ended: with `watch`'s own bounds."""
    unit = (ROOT / "deploy/systemd/blinklog-watch.service").read_text()
    bounds = [
        each for each in unit.splitlines() if each.startswith(("WatchdogSec=", "TimeoutStop"))
    ]
    files = ("StandardOutput=file:/run/hung.json", "StandardError=file:/run/hung.log")
    options = " ".join(f"-p {each}" for each in ("Type=notify", *bounds, *files))
    program = f"{PYTHON} {PROGRAM} /srv/portrait.jpg --hang"
    started = f"systemd-run --wait --unit=hung -p TimeoutStartSec=300 {options} {program}"
    said = scene.machine.run(f"{started} 2>&1; tail -n 1 /run/hung.json; cat /run/hung.log", HUNG_S)
    (scene.folder / "picamera--hang.log").write_text(said)
    results = re.findall(r"Finished with result: (.+)", said)
    found = [line for line in said.splitlines() if line.startswith("{")]
    if not found or results not in (["watchdog"], ["success"]):
        raise DeviceError(f"expected an end in time, found {said[-3000:]}")
    ended = "systemd's watchdog" if results == ["watchdog"] else "itself"
    return json.loads(found[-1]), ended
