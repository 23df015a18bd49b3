"""Back up and restore the database while the server runs."""
