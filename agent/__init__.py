"""The agent: it reads a camera, measures blinks and delivers session documents.

    camera -> Frame -> FaceLandmarks -> EyeSample -> Blink -> Session -> store -> sync -> server

Each arrow is one call that passes on one value. `ear` and `measure` are pure: no clock, no I/O, no
logging; time comes with the data. Hardware, files and sockets are at the edge, and each third-party
library is imported in one room only. `cli` joins the parts: `cli.delivery` for all commands,
`cli.measuring` for those that measure. Each room's `__init__.py` says what it contains.

`config` has every setting of agent.toml with its default and limits: the camera and how long it may
give no frame, how long a long press lasts, how many sessions are kept. Constants that nobody sets
are in the room that uses them. `sync` chooses the transport, and decides when to try again after a
failure. `records` has the values that the rooms pass on, `calls` bounds a call in time, `files`
writes files atomically.
"""

__version__ = "0.1.0"
