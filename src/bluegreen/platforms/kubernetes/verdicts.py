"""Findings made of rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.ports import Finding, Severity

if TYPE_CHECKING:
    from bluegreen.domain.rules import Rule


def refuse(rule: Rule, text: str, mend: str) -> Finding:
    """A release would lose requests, or cannot be made: it is refused."""
    return Finding(severity=Severity.REFUSE, text=text, mend=mend, rule=str(rule), why=rule.why)


def warn(rule: Rule, text: str, mend: str) -> Finding:
    """A release can be made, and something may be lost that a mend would keep."""
    return Finding(severity=Severity.WARN, text=text, mend=mend, rule=str(rule), why=rule.why)


def note(rule: Rule, text: str, mend: str = "") -> Finding:
    """Something to know."""
    return Finding(severity=Severity.NOTE, text=text, mend=mend, rule=str(rule), why=rule.why)
