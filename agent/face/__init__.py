"""From pixels to landmarks: find a face, track it, and draw the contours of both eyes.

Start with `tracker`: it decides when to detect a face, when to look at the whole face, and when the
eyes suffice. `search` says where to look for a lost face. Then `mesh` and `eyes`, which run the
models. `face_check` confirms that a detection is a face, `motion` that its eyes move plausibly,
`others` searches for a second face. `model_files` downloads and verifies the models, `model_cut`
cuts them into parts, `models` loads them. Imports NumPy, OpenCV and the model runtime, and no other
room.
"""
