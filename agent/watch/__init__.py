"""The `watch` service: it waits for a press, measures, and saves checkpoints.

`loop` is the service, with its time limits. `checkpoints` saves a running session; `idle` chooses
what the light shows between sessions. This room never imports the network.
"""
