"""Reading sessions from a streaming replica of the database, where there is one.

Imports only `care`. Start with reading.py: `from_replica` runs a query on the replica if that has
what the people concerned have written, else on the primary. lag.py knows how far the replica is.
Log-in, permissions and writes are always the primary's: ended sharing has ended at once.
"""
