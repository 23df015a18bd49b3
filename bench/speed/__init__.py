"""`python -m bench.speed`: start with `main`."""
