"""How long data is kept, how people take it away, and how they delete it."""
