"""Pictures of a phone that shows a QR code to a camera: small, tilted, blurred, with glare."""

import io
from dataclasses import dataclass

import cv2
import numpy as np
import segno
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

WIFI = r"WIFI:S:Anna\;s home;T:WPA;P:correct horse battery;;"
SERVER = (
    "blinklog:1;U:https://blinklog.example.org;C:ABCD2345"
    ";S:Zm9vYmFyYmF6Zm9vYmFyYg;B:Zm9vYmFyYmF6Zm9vYmFyYg"
)
TICKET = "U12 Hauptbahnhof 2026-11-30"


@dataclass(frozen=True)
class Held:
    """How a phone is held. `side` is the code's width in pixels, `tilt` the share of it by which
    the far edge is shorter, `turn` in degrees, `blur` a Gaussian's sigma in pixels, `glare` the
    brightness that a reflection adds, `noise` its sigma, `lit` the brightness of white.
    """

    side: int = 220
    tilt: float = 0.0
    turn: float = 0.0
    blur: float = 0.0
    glare: float = 0.0
    noise: float = 4.0
    lit: float = 210.0
    dark: float = 40.0
    inverted: bool = False


def picture(text: str, held: Held = Held(), width: int = 640, height: int = 480) -> Picture:
    """What the camera sees, as gray uint8 (height, width)."""
    code = _code(text, held)
    phone = np.full((height, width), 90.0)
    corners = _corners(held, width, height)
    n = code.shape[0]
    flat = np.array([[0, 0], [n, 0], [n, n], [0, n]], np.float32)
    move = cv2.getPerspectiveTransform(flat, corners)
    drawn = cv2.warpPerspective(code, move, (width, height), flags=cv2.INTER_AREA)
    inside = cv2.warpPerspective(np.ones_like(code), move, (width, height))
    seen = phone * (1 - inside) + drawn * inside
    if held.blur:
        seen = cv2.GaussianBlur(seen, (0, 0), held.blur)
    y, x = np.mgrid[:height, :width]
    spot = np.hypot(x - 0.56 * width, y - 0.44 * height) / (0.35 * held.side)
    seen = seen + held.glare * np.exp(-(spot**2))
    noise = np.random.default_rng(7).normal(0, held.noise, seen.shape)
    return np.clip(seen + noise, 0, 255).astype(np.uint8)


def _code(text: str, held: Held) -> NDArray[np.float64]:
    """The code with its quiet zone, eight pixels a module."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(out, kind="png", scale=8, border=4)
    found = cv2.imdecode(np.frombuffer(out.getvalue(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert found is not None
    white = found > 127
    return np.where(white != held.inverted, held.lit, held.dark).astype(np.float64)


def _corners(held: Held, width: int, height: int) -> NDArray[np.float32]:
    half, short = held.side / 2, held.side / 2 * (1 - held.tilt)
    square = np.array([[-short, -half], [short, -half], [half, half], [-half, half]])
    angle = np.deg2rad(held.turn)
    turned = square @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (turned + np.array([width / 2, height / 2])).astype(np.float32)
