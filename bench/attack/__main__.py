"""`python -m bench.attack`."""

import sys

from bench.attack.main import main

if __name__ == "__main__":
    sys.exit(main())
