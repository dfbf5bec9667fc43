"""``python -m bluegreen.load``."""

from __future__ import annotations

import sys

from bluegreen.load.cli import main

if __name__ == "__main__":
    sys.exit(main())
