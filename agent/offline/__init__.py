"""Measurement of videos and traces on any computer: replay, analyse, plot and overlay.

Start with `replay`.
"""
