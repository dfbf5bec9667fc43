"""The testbed's lock: whoever has to wait for it is told so, once, and gets it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from testbed.locks import exclusive

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 10.0
"""Seconds, for what happens at once."""


def test_a_free_lock_is_taken_without_a_word(tmp_path: Path) -> None:
    told: list[str] = []
    with exclusive(tmp_path / "new" / "lock", tell=told.append):
        pass
    assert told == []


def test_whoever_waits_is_told_for_what_and_gets_it(tmp_path: Path) -> None:
    file, told, said, had = tmp_path / "lock", list[str](), threading.Event(), threading.Event()

    def tell(line: str) -> None:
        told.append(line)
        said.set()

    def second() -> None:
        with exclusive(file, tell=tell):
            had.set()

    with exclusive(file, tell=told.append):
        waiting = threading.Thread(target=second, daemon=True)
        waiting.start()
        assert said.wait(LIMIT)
        assert not had.is_set()
    assert had.wait(LIMIT)
    waiting.join(LIMIT)
    assert len(told) == 1
    assert str(file) in told[0]
