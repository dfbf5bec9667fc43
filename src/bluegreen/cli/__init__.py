"""The command line: a module per command, thin over the pipeline; what is shown is in ``views``.

It imports little, for every command pays for it: a command imports what it needs when it runs, because a rollback must
be as fast as two ``kubectl patch`` (tests/unit/test_cli_imports.py lists what may be loaded).
"""

from __future__ import annotations

from bluegreen.cli.entry import main

__all__ = ["main"]
