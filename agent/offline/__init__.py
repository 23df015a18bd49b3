"""Videos and traces at a desk: replay, analyse, plot and overlay.

Start with `replay`.
"""
