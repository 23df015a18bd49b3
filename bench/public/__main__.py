"""`python -m bench.public`."""

import sys

from bench.public.main import main

if __name__ == "__main__":
    sys.exit(main())
