"""`python -m bench.attack`: start with `main`."""
