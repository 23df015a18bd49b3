"""Aiming a device's camera: what the device says of the eyes it sees, shown on a page.

Start with kept.py. A view has numbers and points, and never a picture.
"""
