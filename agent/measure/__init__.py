"""From eye samples to a session document. Pure: only NumPy and the standard library.

Start with `session`, then `blinks` and `dips` (the blink rule), `levels`, `gaze`, `quality` and
`metrics`. `recording` connects a tracker, a clock and a session.
"""
