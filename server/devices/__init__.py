"""Devices: owners, credentials, commands, and when each was last seen.

Imports `care` and `common`. Start with models.py, then claim.py (how a person adds a device) and
authentication.py (how a request proves who sent it). manage.py says who may rename, rotate and
remove a device, for the API and the pages alike.
"""
