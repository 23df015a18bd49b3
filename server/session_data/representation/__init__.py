"""How the API represents one session: what it shows, its ETag with the conditions, examples."""
