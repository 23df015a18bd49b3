"""Button and light.

Start with `panel`. `presses` and `light` are pure state tables; only `panel` imports gpiozero.
"""
