"""Measurement of videos and traces on any computer: replay, analyse, plot and overlay.

Start with `replay`. `trace` reads and writes traces as CSV. `evidence` collects what the pictures
show; `plot` draws a whole recording, `overlay` and `chart` draw into its video.
"""
