"""`python -m bench.load`."""

import sys

from bench.load.main import main

if __name__ == "__main__":
    sys.exit(main())
