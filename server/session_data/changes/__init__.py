"""Changes of sessions in their order, for clients that keep a copy.

numbers.py numbers the changes of each person, and keeps deletions for a while. feed.py reads them
from a position on. answer.py is the answer to `GET /api/session/history/?updated_since=`.
"""
