"""The pictures in docs/ show what the device does."""

import math
from xml.etree import ElementTree

import pytest

from agent.config import AgentConfig
from agent.controls.light import LIGHT, LightState, lit_share
from scripts.pictures_of_device import DOCS, MEANING, drawn, lit, place, wiring


@pytest.mark.parametrize("name", drawn())
def test_the_committed_picture_is_what_is_drawn_from_the_device_s_own_table(name: str) -> None:
    found = (DOCS / name).read_text(encoding="utf-8")
    assert found == drawn()[name], "run python -m scripts.pictures_of_device"
    ElementTree.fromstring(found)


def test_every_state_is_in_the_picture_once() -> None:
    shown = [LIGHT[state] for state in MEANING]
    assert len(set(shown)) == len(shown)
    assert set(shown) == set(LIGHT.values())


@pytest.mark.parametrize("state", LIGHT)
def test_what_is_drawn_lit_is_lit(state: LightState) -> None:
    pattern = LIGHT[state]
    period_s = 1.0 if math.inf in pattern or not pattern else sum(pattern)
    drawn_s = sum(end - begin for begin, end in lit(state, 10 * period_s))
    assert drawn_s / (10 * period_s) == pytest.approx(lit_share(state))


def test_the_wires_go_to_the_pins_of_the_default_configuration() -> None:
    controls = AgentConfig().controls
    for gpio in (controls.button_gpio, controls.led_gpio):
        assert f"GPIO {gpio}" in wiring()


def test_the_header_is_drawn_as_it_is() -> None:
    """Pin 1 is at the upper left, 2 beside it, 39 and 40 at the other end."""
    assert place(2)[0] > place(1)[0]
    assert place(2)[1] == place(1)[1] < place(39)[1] == place(40)[1]
