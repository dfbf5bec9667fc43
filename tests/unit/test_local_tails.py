"""Whose logs are whose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.stack import Slot
from bluegreen.platforms.local.tails import tails_in

if TYPE_CHECKING:
    from pathlib import Path


def test_the_logs_of_a_service_are_its_own_by_number(tmp_path: Path) -> None:
    for name in ("web-blue-0", "web-blue-2", "web-blue-10", "web-blue-green-0", "web-green-0", "web-blue-x"):
        (tmp_path / f"{name}.log").write_text(f"{name}\n")

    def found(service: str, slot: Slot | None) -> list[str]:
        return [line for tail in tails_in(tmp_path, services=[service], slot=slot, lines=5) for line in tail.lines]

    assert found("web", None) == ["web-blue-0", "web-blue-2", "web-blue-10", "web-green-0"]
    assert found("web-blue", None) == ["web-blue-green-0"]
