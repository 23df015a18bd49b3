"""`python -m bench.mutants`: start with `main`."""
