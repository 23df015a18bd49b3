"""Reminding: people choose when their device's light asks for blinks; the server tells the device.

Start with told.py. The device decides by itself when to ask (docs/operating-device.md).
"""
