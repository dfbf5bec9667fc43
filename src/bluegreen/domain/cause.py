"""Why a slot is bad: what is told, kept in the journal, and explained by the platform."""

from __future__ import annotations

from bluegreen.domain.stack import Slot
from bluegreen.domain.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a slot is bad, with what a person needs to act on it."""

    service: str
    slot: Slot
    reason: str
    """In this project's words: one of ``health.Reason``."""
    detail: str = ""
    """The platform's message, or the program's."""
    pod: str = ""
    container: str = ""
    exit_code: int | None = None
    advice: str = ""
    """What to do."""
    word: str = ""
    """The platform's own word for it, such as ``ErrImagePull``; empty: it has none."""
    event: str = ""
    """What the platform said last about the pod; empty: it is not known, or nothing."""
    log: tuple[str, ...] = ()
    """The last lines of the container's log, bounded and fit to be shown."""

    def __str__(self) -> str:
        """One line for the screen."""
        word = f" ({self.word})" if self.word else ""
        code = f", exit code {self.exit_code}" if self.exit_code is not None else ""
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.service} in {self.slot}: {self.reason}{word}{code}{detail}"
