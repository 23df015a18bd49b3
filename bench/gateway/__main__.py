"""`python -m bench.gateway`."""

import sys

from bench.gateway.main import main

if __name__ == "__main__":
    sys.exit(main())
