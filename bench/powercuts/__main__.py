"""`python -m bench.powercuts`."""

import sys

from bench.powercuts.main import main

if __name__ == "__main__":
    sys.exit(main())
