"""The commands of `blink-agent`, and the only place where all parts are joined.

Start with `main`. This room imports all others; no room imports it.
"""
