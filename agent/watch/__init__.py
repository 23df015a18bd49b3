"""The `watch` service: its loop waits for a press, measures, and saves checkpoints.

Start with `loop`. This package never imports network code.
"""
