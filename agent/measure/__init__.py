"""From eye samples to a session document. Pure: NumPy and the standard library alone.

Start with `session`, then `blinks` and `dips` (the rule), `levels`, `gaze`, `quality` and
`metrics`. `recording` joins a tracker, a clock and a session.
"""
