"""`python -m bench.imposters`."""

import sys

from bench.imposters.main import main

if __name__ == "__main__":
    sys.exit(main())
