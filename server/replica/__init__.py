"""Reading sessions from a streaming replica of the database, where there is one.

Imports only `care`. Start with reading.py: `from_replica` runs a query on the replica if that has
the latest writes of the people concerned, else on the primary. lag.py knows how far the replica is.
Log-in, permissions and writes always use the primary, so ending sharing works immediately.
"""
