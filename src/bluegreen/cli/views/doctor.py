"""What an examination found, as text: what refuses a release first, each with why and with the mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.cli.views.paper import count
from bluegreen.domain.values import dataclass
from bluegreen.ports import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bluegreen.cli.views.paper import Paper
    from bluegreen.ports import Finding

_LABELS = {Severity.REFUSE: ("refuses", "red"), Severity.WARN: ("warning", "yellow"), Severity.NOTE: ("note", "dim")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """How many findings there are of each kind."""

    refuse: int
    warn: int
    note: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One finding of an examination."""

    severity: Severity
    """Whether it refuses a release, warns of one, or is a note."""
    rule: str
    """Its name in docs/doctor.md."""
    text: str
    """What, and where."""
    why: str
    """Why it matters."""
    mend: str
    """The command that mends it, or what else does."""


def told(finding: Finding) -> Found:
    """As a program gets it."""
    return Found(severity=finding.severity, rule=finding.rule, text=finding.text, why=finding.why, mend=finding.mend)


def examined(found: Sequence[Finding]) -> Examined:
    """Counted."""
    by = {severity: sum(each.severity is severity for each in found) for severity in Severity}
    return Examined(refuse=by[Severity.REFUSE], warn=by[Severity.WARN], note=by[Severity.NOTE])


def doctor_lines(paper: Paper, found: Sequence[Finding]) -> Iterator[str]:
    """All lines."""
    for each in found:
        yield from _finding(paper, each)
        yield ""
    yield from paper.paragraph(_verdict(examined(found)), style="bold")


def _finding(paper: Paper, found: Finding) -> Iterator[str]:
    label, style = _LABELS[found.severity]
    yield from paper.field(label, found.text, style=style)
    if found.why:
        yield from paper.field("  why", found.why)
    if found.mend:
        yield from paper.field("  mend", found.mend)


def _verdict(counts: Examined) -> str:
    others = [count(counts.warn, "warning")] if counts.warn else []
    others += [count(counts.note, "note")] if counts.note else []
    more = f"; {' and '.join(others)}" if others else ""
    if counts.refuse:
        return f"{count(counts.refuse, 'finding')} would refuse a release{more}"
    return f"nothing refuses a release{more}"
