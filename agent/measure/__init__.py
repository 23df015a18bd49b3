"""From eye samples to a session document. Pure: only NumPy and the standard library.

Start with `session`. `dips` measures each dip of EAR; `blinks` decides whether it is a blink, and
of which kind. `levels` follows open and closed lids, `gaze` tells looking down from shut eyes,
`quality` sets the flags, `metrics` has the results and the limit of PERCLOS. `recording` connects a
tracker, a clock and a session.
"""
