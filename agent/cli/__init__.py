"""The commands of `blink-agent`, and the only place where the parts are joined.

Start with `main`. Imports all rooms; no room imports it.
"""
