"""A person's own data: retention, export and deletion.

Imports `alerts` and the rooms below it. Begin with deletion.py, then tidying.py. The app label is
`keeping`, as in the names of the tables.
"""
