"""The button and the light.

Start with `panel`. `presses` and `light` do not depend on any hardware library; only `panel`
imports gpiozero.
"""
