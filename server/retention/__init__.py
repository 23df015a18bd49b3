"""A person's own data: how long it is kept, how to take it away, how to delete it.

Imports `alerts` and what is below it. Begin with deletion.py, then tidying.py. Its app label is
`keeping`, after the tables.
"""
