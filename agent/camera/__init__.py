"""Cameras: one file for each kind, and the code that they share.

Start with `agent/capture.py`, which opens the configured camera. Imports OpenCV or picamera2, and
no other room.
"""
