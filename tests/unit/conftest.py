"""What tests of command lines have in common."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIXES = ("BLUEGREEN_", "GITHUB_")
_SCREENS = {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[None]:
    """An empty folder, and none of the caller's own settings; what a test makes of both is undone."""
    folder, environment = Path.cwd(), dict(os.environ)
    for name in environment:
        if name.startswith(_PREFIXES) or name in _SCREENS:
            del os.environ[name]
    os.chdir(tmp_path)
    yield
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
