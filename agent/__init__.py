"""The agent: from a camera to a delivered session document.

    camera -> Frame -> FaceLandmarks -> EyeSample -> Blink -> Session -> store -> sync -> server

Every arrow is one call that passes on one value. `ear` and `measure` are pure: no clock, no I/O, no
logging; time arrives with the data. Hardware, files and sockets live at the edge, each outside
library in one room. `cli` joins the parts: `cli.delivery` for all commands, `cli.measuring` for
those that look at eyes. Every room's `__init__.py` says what lives there.
"""

__version__ = "0.1.0"
