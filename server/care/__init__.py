"""People: accounts, log-in, sharing, institutions, and permissions.

Imports only `common`. Start with models.py, then access.py, which decides who may see whom.
models.py also holds the limits of invitations; forms.py and serializers.py offer what they allow.
"""
