"""Cameras: one file for each kind, and the code that they share.

Start with `agent/capture.py`, which opens the configured camera. `pi`, `usb` and `replay` are the
kinds. `pace` drops frames of a source that is too fast; `video_file`, `containers` and `video_name`
read videos. How long a camera may give no frame is `timeout_s` of `[camera]` in `agent/config.py`,
the same for all kinds. Imports OpenCV or picamera2, and no other room.
"""
