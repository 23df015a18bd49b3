"""The USB button on the kernel's own input devices, where they can be made."""

import os
from pathlib import Path

import pytest

from tests.agent.controls.uinput_pedal import UINPUT, check

needs_uinput = pytest.mark.skipif(
    not os.access(UINPUT, os.W_OK), reason="the kernel has no uinput here, or we may not use it"
)


@needs_uinput
def test_a_real_pedal_is_pressed_held_grabbed_unplugged_and_plugged_in_again(
    tmp_path: Path,
) -> None:
    check(tmp_path)
