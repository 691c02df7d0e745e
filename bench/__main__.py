"""`python -m bench experiment=NAME …`; without arguments, the list of experiments."""

from __future__ import annotations

import os
import sys

from bench.command import main

if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status) if status in (130, 143) else sys.exit(status)
