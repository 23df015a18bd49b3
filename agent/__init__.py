"""The agent: from a camera to a delivered session document.

    camera -> Frame -> FaceLandmarks -> EyeSample -> Blink -> Session -> store -> sync -> server

Every arrow is one call that hands on one value. From `Frame` to `Session` all is pure: no clock,
no I/O, no logging; time arrives with the data. Hardware, files and sockets live at the edge, one
outside library a module. The parts are joined in `cli_parts` and, where eyes are looked at,
`cli_eyes`, behind the commands of `cli`.
"""

__version__ = "0.1.0"
