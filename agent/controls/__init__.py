"""The button and the light.

Start with `panel`. `presses` and `light` do not depend on any hardware library; only `panel`
imports gpiozero.

`light` says how the light blinks in each state. `presses` tells short and long presses apart; how
long a long press lasts is `long_press_s` in `agent/config.py`. `usb_button` reads a USB button from
the kernel's input events.
"""
