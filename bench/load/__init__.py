"""`python -m bench.load`: start with `main`."""
