"""``python -m bluegreen`` and the script ``bluegreen``: ``main`` in a process that starts and ends fast."""

from __future__ import annotations

import gc
import os
from typing import NoReturn


def run() -> NoReturn:
    """Run the command line, and end the process with its exit code.

    What is imported stays, so nothing is looked for in it that could be freed; calls.py turns that on again. At the end
    ``main`` has closed and written out everything, and Python's own tidying up would only take time.
    """
    gc.disable()
    from bluegreen.cli import main

    os._exit(main())


if __name__ == "__main__":
    run()
