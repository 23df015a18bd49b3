"""`python -m bench.usual`."""

from bench.usual import main

if __name__ == "__main__":
    main()
