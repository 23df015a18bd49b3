"""Devices: whose they are, how they prove it, when they were last seen.

Imports `care` and `common`. Begin with models.py, then claim.py (how a device becomes somebody's)
and authentication.py (how a request shows who sent it).
"""
