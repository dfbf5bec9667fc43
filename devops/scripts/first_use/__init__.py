"""First use: fetches the locked packages into a cache folder. Standard library only, and only Python's own wheels.

``prepare`` decides the order: pip where there is one, for it knows its user's indexes and passwords; else our own small
downloader. Either checks every file against the lock's hashes, and neither runs any code of what it fetches.
"""

from __future__ import annotations

from first_use.prepare import prepare

__all__ = ["prepare"]
