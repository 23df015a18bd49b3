"""Commands by which people start and stop sessions on their devices.

Begin with ask.py; views.py is the REST API.
"""
