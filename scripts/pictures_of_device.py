"""Draws docs/light.svg and docs/wiring.svg from the device's behaviour and default settings.

    python -m scripts.pictures_of_device

A test compares the files with this output, so that they always match the light and the
configuration.
"""

import math
from collections.abc import Iterator
from pathlib import Path

from agent.config import AgentConfig
from agent.controls.light import LIGHT, LightState
from scripts.svg import circle, group, path, picture, rect, tag, text

DOCS = Path(__file__).resolve().parent.parent / "docs"

STRIPS = "../server/dashboard/static/dashboard"
# What the help page shows of a device that is not connected.
STRIPPED: tuple[LightState, ...] = ("ready", "unsent", "fault", "off")

INK, SOFT, FAINT = "#1d2733", "#5b6875", "#dfe5ea"
NIGHT, LIT = "#27313c", "#ffd34d"

# The light

SECONDS = 6
SECOND = 80.0  # width of one
LEFT, TOP, ROW = 330.0, 74.0, 58.0

MEANING: dict[LightState, tuple[str, str]] = {
    "ready": ("one wink", "ready: a short press starts a session"),
    "unsent": ("two winks", "ready, but unsent sessions or not enrolled"),
    "fault": ("three flashes", "fault: see blink-agent doctor"),
    "measuring": ("steadily lit", "measuring, or aimed well"),
    "unseen": ("slow blinking", "measuring or aiming: the eyes are not seen"),
    "blink": ("quick dark winks", "measuring: please blink"),
    "ask_blink": ("one long flash", "checking the counting: blink now"),
    "ask_down": ("two long flashes", "checking: look down for 3 s, then up"),
    "ask_shut": ("three long flashes", "checking: shut the eyes for 3 s"),
    "finishing": ("fast flicker", "starting or finishing"),
    "looking": ("one dark wink", "looking for codes: show one to the camera"),
    "read": ("two dark winks", "a code was read: wait, or show the other one"),
    "joined": ("three dark winks", "joined the Wi-Fi: show the server's code"),
    "enrolled": ("very slow blinking", "enrolled: the device is ready"),
    "join failed": ("four flashes", "the Wi-Fi could not be joined"),
    "enrol failed": ("five flashes", "the device could not be enrolled"),
    "off": ("dark", "stopped, without power, or still booting"),
}


def light() -> str:
    """What the light shows, as six seconds of each state."""
    width, height = LEFT + SECONDS * SECOND + 30, TOP + len(MEANING) * ROW + 70
    rows = [row for number, state in enumerate(MEANING) for row in _row(state, TOP + number * ROW)]
    end = TOP + len(MEANING) * ROW
    return picture(
        width,
        height,
        "What the light shows",
        "; ".join(f"{pattern}: {meaning}" for pattern, meaning in MEANING.values()),
        text(24, 34, "What the light shows", 20, font_weight=600),
        *_seconds(end),
        *rows,
        text(
            24, end + 28, "Press the button, and the light answers at once: as long as you hold", 14
        ),
        text(24, end + 48, "it, what was mostly dark is lit, and what was mostly lit is dark.", 14),
    )


def _seconds(end: float) -> Iterator[str]:
    for second in range(SECONDS + 1):
        x = LEFT + second * SECOND
        yield path([(x, TOP - 18), (x, end - 12)], stroke=FAINT)
        label = f"{second} s" if second in (0, SECONDS) else str(second)
        yield text(x, TOP - 24, label, 12, text_anchor="middle", fill=SOFT)


def _row(state: LightState, y: float) -> Iterator[str]:
    pattern, meaning = MEANING[state]
    yield text(24, y + 12, pattern, 15, font_weight=600)
    yield text(24, y + 30, meaning, 13, fill=SOFT)
    yield rect(LEFT, y, SECONDS * SECOND, 32, rx=4, fill=NIGHT)
    for begin_s, end_s in lit(state, SECONDS):
        x, width = LEFT + begin_s * SECOND, (end_s - begin_s) * SECOND
        yield rect(x, y + 4, width, 24, rx=min(2.0, width / 2), fill=LIT)


def strip(state: LightState) -> str:
    """One state's six seconds without words, for the server's help page, which has its own."""
    lamps = [
        rect(begin_s * SECOND / 2, 3, (end_s - begin_s) * SECOND / 2, 14, fill=LIT)
        for begin_s, end_s in lit(state, SECONDS)
    ]
    width = SECONDS * SECOND / 2
    night = rect(0, 0, width, 20, rx=4, fill=NIGHT)
    return (
        tag(
            "svg",
            "\n".join(("", night, *lamps, "")),
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {width:.0f} 20",
            width=width,
            height=20,
        )
        + "\n"
    )


def lit(state: LightState, seconds: float) -> Iterator[tuple[float, float]]:
    """When it is lit in the first seconds: from, to."""
    pattern = LIGHT[state]
    if math.inf in pattern:
        yield 0.0, seconds
        return
    begin_s = 0.0
    while pattern and begin_s < seconds:
        for on_s, off_s in zip(pattern[::2], pattern[1::2], strict=True):
            if begin_s < seconds:
                yield begin_s, min(begin_s + on_s, seconds)
            begin_s += on_s + off_s


# The wiring

GROUND = (6, 9, 14, 20, 25, 30, 34, 39)
PIN_OF_GPIO = {
    2: 3, 3: 5, 4: 7, 14: 8, 15: 10, 17: 11, 18: 12, 27: 13, 22: 15, 23: 16, 24: 18, 10: 19, 9: 21,
    25: 22, 11: 23, 8: 24, 7: 26, 5: 29, 6: 31, 12: 32, 13: 33, 19: 35, 16: 36, 26: 37, 20: 38,
    21: 40,
}  # fmt: skip
PITCH, HEADER_X, HEADER_Y = 26.0, 236.0, 92.0
BLUE, ORANGE, BLACK = "#1f6fd6", "#d9730d", "#222a33"


def place(pin: int) -> tuple[float, float]:
    """The middle of a pin in the picture: odd ones left, even ones right, 1 and 2 on top."""
    return HEADER_X + PITCH * ((pin + 1) % 2), HEADER_Y + PITCH * ((pin - 1) // 2)


def wiring() -> str:
    """The button and the LED with its resistor, on the 40 pins."""
    controls = AgentConfig().controls
    button, led = PIN_OF_GPIO[controls.button_gpio], PIN_OF_GPIO[controls.led_gpio]
    grounds = _ground_near(button), _ground_near(led + 1)
    used = {
        button: f"GPIO {controls.button_gpio}",
        led: f"GPIO {controls.led_gpio}",
        grounds[0]: "ground",
        grounds[1]: "ground",
    }
    return picture(
        900,
        660,
        "Wiring of button and light",
        f"A push button between pin {button} (GPIO {controls.button_gpio}) and pin {grounds[0]}"
        f" (ground). An LED with a resistor of 330 ohms between pin {led}"
        f" (GPIO {controls.led_gpio}) and pin {grounds[1]} (ground).",
        text(24, 34, "Button and light on the 40-pin header", 20, font_weight=600),
        *_board(used),
        *_button(button, grounds[0]),
        *_led(led, grounds[1]),
        text(400, 600, "Switch the Pi off first. Pins 2 and 4 carry 5 V: nothing goes there.", 14),
        text(400, 622, "A foot switch with a plain contact goes where the button is;", 14),
        text(400, 642, "one with a USB plug needs no wire: set controls.input_device.", 14),
    )


def _ground_near(pin: int) -> int:
    return min(GROUND, key=lambda ground: abs(ground - pin))


def _board(used: dict[int, str]) -> Iterator[str]:
    yield rect(24, 56, 280, 584, rx=14, fill="#2e6650")
    yield circle(52, 84, 9, fill="#ffffff", stroke="#c9a94f", stroke_width=4)
    yield rect(HEADER_X - 16, HEADER_Y - 16, PITCH + 32, 19 * PITCH + 32, rx=5, fill="#1b222a")
    for pin in range(1, 41):
        x, y = place(pin)
        yield circle(x, y, 9, fill="#e9c46a" if pin in used else "#59636e")
        ink = "#1b222a" if pin in used else "#e6eaee"
        yield text(x, y + 3.5, str(pin), 9.5, text_anchor="middle", fill=ink, font_weight=600)
    for pin, name in used.items():
        x, y = place(pin)
        if pin % 2:
            words = f"pin {pin}  ·  {name}"
            yield text(x - 26, y + 5, words, 14, text_anchor="end", fill="#ffffff")
    yield text(44, 560, "Raspberry Pi,", 14, fill="#ffffff", font_weight=600)
    yield text(44, 579, "seen from above", 14, fill="#ffffff", font_weight=600)
    yield text(44, 618, "USB sockets at this end", 13, fill="#d5e6dd")


def _wire(points: list[tuple[float, float]], colour: str) -> str:
    """With a light edge, so that it stands out from whatever it crosses."""
    return group(
        path(points, 14, stroke="#ffffff", stroke_width=7),
        path(points, 14, stroke=colour, stroke_width=4),
        circle(*points[0], 4.5, fill=colour, stroke="#ffffff", stroke_width=1.5),
        stroke_linecap="round",
    )


def _above(pin: int) -> list[tuple[float, float]]:
    """From a pin on the left, up between two rows, and out over the header's right edge."""
    x, y = place(pin)
    return [(x, y), (x + PITCH / 2, y - PITCH / 2), (HEADER_X + 2 * PITCH, y - PITCH / 2)]


def _button(pin: int, ground: int) -> Iterator[str]:
    x, y = 520.0, 130.0
    yield _wire([*_above(ground), (360, _above(ground)[-1][1]), (360, y + 20), (x, y + 20)], BLACK)
    yield _wire([*_above(pin), (390, _above(pin)[-1][1]), (390, y + 60), (x, y + 60)], BLUE)
    yield rect(x, y - 2, 84, 84, rx=8, fill="#3b4753")
    yield circle(x + 42, y + 40, 29, fill="#8794a0")
    yield circle(x + 42, y + 40, 25, fill="#c8d0d7")
    yield text(x + 104, y + 22, "push button", 16, font_weight=600)
    yield text(x + 104, y + 44, f"between pin {pin} and pin {ground};", 14, fill=SOFT)
    yield text(x + 104, y + 63, "it needs no resistor", 14, fill=SOFT)
    yield text(x + 104, y + 82, "a second one: controls.activity_pin", 14, fill=SOFT)
    yield text(410, y + 12, f"ground, pin {ground}", 13, fill=SOFT)
    yield text(410, y + 82, f"pin {pin}", 13, fill=SOFT)


def _led(pin: int, ground: int) -> Iterator[str]:
    x, y, low = 640.0, 330.0, 440.0
    yield _wire([*_above(pin), (380, _above(pin)[-1][1]), (380, low), (450, low)], ORANGE)
    gx, gy = place(ground)
    yield _wire([(gx, gy), (350, gy), (350, 500), (x + 14, 500), (x + 14, low - 16)], BLACK)
    yield path([(450, low), (590, low), (x - 14, low)], stroke="#8a949e", stroke_width=3)
    yield rect(470, low - 14, 100, 28, rx=13, fill="#e8d5b0", stroke="#b79f6c")
    bands = ("#e0761b", "#e0761b", "#7a4a21", "#c9a227")  # 3, 3, times ten; five per cent
    for number, colour in enumerate(bands):
        yield rect(488 + 17 * number + 8 * (number == 3), low - 14, 8, 28, fill=colour)
    yield path([(x - 14, y + 40), (x - 14, low)], stroke="#8a949e", stroke_width=4)
    yield path([(x + 14, y + 40), (x + 14, low - 16)], stroke="#8a949e", stroke_width=4)
    dome = f"M {x - 30} {y + 34} V {y - 4} A 30 30 0 0 1 {x + 30} {y - 4} V {y + 34} Z"
    yield tag("path", d=dome, fill="#ffd34d", stroke="#c99a12", stroke_width=2)
    yield rect(x - 36, y + 32, 66, 12, rx=3, fill="#f0b92b", stroke="#c99a12", stroke_width=2)
    yield text(x + 50, y - 8, "LED, of any colour", 16, font_weight=600)
    yield text(x + 50, y + 14, "long leg: to the resistor", 14, fill=SOFT)
    yield text(x + 50, y + 33, "short leg, flat side: to", 14, fill=SOFT)
    yield text(x + 50, y + 52, f"ground, pin {ground}", 14, fill=SOFT)
    yield text(400, 520, f"ground, pin {ground}", 13, fill=SOFT)
    yield text(450, low - 28, "resistor, 330 Ω", 16, font_weight=600)
    yield text(450, low + 36, "220 Ω to 1 kΩ will do", 14, fill=SOFT)


def drawn() -> dict[str, str]:
    """Every file that is drawn here, from docs/, with its content."""
    strips = {f"{STRIPS}/light-{state}.svg": strip(state) for state in STRIPPED}
    return {"light.svg": light(), "wiring.svg": wiring(), **strips}


if __name__ == "__main__":
    for name, content in drawn().items():
        (DOCS / name).write_text(content, encoding="utf-8")
