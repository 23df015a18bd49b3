"""Measurement of videos and traces on any computer: replay, analyse, plot and overlay.

Start with `replay`. `trace` reads and writes traces as CSV. `evidence` collects what the pictures
show. `plot` draws a whole recording. `overlay` draws into its video and says how many seconds its
chart shows; `chart` draws that chart. The commands that print the results are in
`agent/cli/offline.py`.
"""
