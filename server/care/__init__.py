"""People: accounts, log-in, sharing, institutions, and permissions.

Imports only `common`. Start with models/, then access.py, which decides who may see whom.
models/sharing.py says how long an invitation lives, usually and at most; forms.py and
serializers.py offer what it allows. login.py logs people in; guesses.py says how many wrong
passwords and codes are allowed in how long.
"""
