"""Commands to start and stop sessions on devices.

Start with ask.py; views.py is the REST API.
"""
