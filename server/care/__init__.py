"""People: accounts, log-in, sharing, institutions, and permissions.

Imports only `common`. Start with models/, then access.py, which decides who may see whom.
models/sharing.py says how long an invitation lives, usually and at most; forms.py and
serializers.py offer what it allows. login.py logs people in. attempts.py limits wrong passwords and
codes: login.py, second_factor.py and wrong_codes.py (invitations and claim codes) name how many,
attempts.py in how long.
"""
