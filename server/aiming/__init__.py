"""Aiming a device's camera, and checking its counting: what the device says, shown on pages.

Start with kept.py and checking.py. A view has numbers and points, and never a picture.
"""
