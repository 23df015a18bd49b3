"""Request counts and signs of life, for whoever operates the server."""
