"""The `watch` service: it waits for a press, measures, and saves checkpoints.

`loop` is the service. `checkpoints` saves a running session; `saving` writes a document, and
`upkeep` what could not be written in time. `idle` chooses what the light shows between sessions.
How often a checkpoint is saved and how long a session may last are in `agent/config.py`. This room
never imports the network.
"""
