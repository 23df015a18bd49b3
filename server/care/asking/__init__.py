"""Requests for access: a member of an institution asks another member to share.

Start with requests.py. leaving.py ends the requests of who leaves; views.py and serializers.py are
the REST API, pages.py and forms.py the pages.
"""
