"""What a device sends while it is aimed: a face that is drawn by ellipses."""

from math import cos, pi, sin
from typing import Any

import requests

from tests.e2e.home import Home

Point = tuple[float, float]


def ellipse(middle: Point, wide: float, high: float, points: int) -> list[Point]:
    """The points of an ellipse, in shares of the picture's width and height."""
    turns = [2 * pi * number / points for number in range(points)]
    return [
        (round(middle[0] + wide * cos(turn), 4), round(middle[1] + high * sin(turn), 4))
        for turn in turns
    ]


def view() -> dict[str, Any]:
    """A face whose eyes are seen well."""
    return {
        "advice": "good",
        "found": None,
        "needed": None,
        "aspect": 4 / 3,
        "apart_px": 61.0,
        "sharpness": 0.41,
        "light": 132.0,
        "turn_deg": 3.0,
        "fps": 30.0,
        "left": 0.98,
        "right": 1.0,
        "blinks": 2,
        "blinked": False,
        "second_face": False,
        "lids": [ellipse((x, 0.42), 0.045, 0.022, 16) for x in (0.42, 0.58)],
        "outline": ellipse((0.5, 0.5), 0.19, 0.36, 36),
    }


def send_view(home: Home, name: str) -> None:
    """Send it as that person's device does: over HTTP, with its token."""
    answer = requests.post(
        f"{home.url}/api/device/aim/",
        json=view(),
        headers={"Authorization": f"Bearer {home.tokens[name]}"},
        timeout=20,
    )
    assert answer.status_code == 204, answer.text
