"""From pixels to landmarks: find a face, track it, and draw the contours of both eyes.

Start with `landmarks` (the tracker), then `mesh` and `eyes`. `model_files` downloads and verifies
the models, `model_cut` cuts them into parts, `models` loads them. Imports NumPy, OpenCV and the
model runtime, and no other room.
"""
