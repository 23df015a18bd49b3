"""Cameras: one file for each kind, and what they share.

Start with `agent/capture.py`, which opens the configured camera. Imports OpenCV or picamera2, and
none of the other rooms.
"""
