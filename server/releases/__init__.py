"""Releases: device software that the server's operator offers, and who asked for it where.

The operator signs a release with a key that the server need not have; devices check the signature
with the public key that they got when they were added. Start with shelf.py and updates.py.
"""
