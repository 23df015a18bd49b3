"""From pixels to landmarks: find a face, follow it, and draw both eyes.

Start with `landmarks` (the tracker), then `mesh` and `eyes`. `model_cut` and `models` fetch, cut
and load the models. Imports NumPy, OpenCV and the model runtime, and none of the other rooms.
"""
