"""`python -m bench.eyes`."""

from bench.eyes import main

if __name__ == "__main__":
    main()
