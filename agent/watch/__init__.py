"""The `watch` service: the loop that waits for a press, measures, and saves checkpoints.

Start with `loop`. It never imports the network.
"""
