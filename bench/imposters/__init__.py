"""`python -m bench.imposters`: start with `main`."""
