"""Devices: owners, credentials, commands, and when each was last seen.

Imports `care` and `common`. Start with models.py, which also says how long a device still counts as
online after its last contact, and how long a claim code is valid, usually and at most
(`ClaimCode`). claim.py: a person adds a device. authentication.py: a request proves who sent it.
manage.py: who may rename, rotate and remove a device, for the API and the pages alike.
fair_share.py: rate limits. presence.py only stores the status that a device publishes.
"""
