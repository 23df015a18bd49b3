"""The commands of `blink-agent`, and the only place where all parts are joined.

Start with `main`; each other file has a group of commands. This room imports all others; no room
imports it.
"""
