"""The store's tables, as the list of migrations from every released schema.

Never change a released migration. Append the next one, and add a dump of a store from before it to
`tests/agent/stores/`. The file's `user_version` counts the applied migrations; each is applied in
one transaction.
"""

APPLICATION_ID = 0x424C4E4B  # "BLNK"

MIGRATIONS = (  # one entry per released schema
    """
    CREATE TABLE sessions (
        number INTEGER PRIMARY KEY,  -- order of arrival: the wall clock may jump
        session_id TEXT NOT NULL UNIQUE,
        revision INTEGER NOT NULL,
        acked_revision INTEGER NOT NULL DEFAULT 0,
        state TEXT NOT NULL,
        document TEXT NOT NULL,
        checksum INTEGER NOT NULL,   -- CRC-32 of document: SQLite has none of its own
        parked_reason TEXT,
        parked_at TEXT,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL
    ) STRICT;
    CREATE INDEX sessions_pending ON sessions (state <> 'active', number)
        WHERE acked_revision < revision AND parked_reason IS NULL;
    CREATE INDEX sessions_active ON sessions (number) WHERE state = 'active';
    CREATE TABLE commands (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        command TEXT NOT NULL,
        expires_at REAL NOT NULL,    -- seconds since 1970
        taken INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    """,
)
