"""`python -m bench.public`: start with `main`."""
