"""Findings made of rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.rules import Rule
from bluegreen.ports import Finding, Severity

if TYPE_CHECKING:
    from bluegreen.platforms.kubernetes.errors import Refused


def refuse(rule: Rule, text: str, mend: str) -> Finding:
    """A release would lose requests, or cannot be made: it is refused."""
    return Finding(severity=Severity.REFUSE, text=text, mend=mend, rule=str(rule), why=rule.why)


def warn(rule: Rule, text: str, mend: str) -> Finding:
    """A release can be made, and something may be lost that a mend would keep."""
    return Finding(severity=Severity.WARN, text=text, mend=mend, rule=str(rule), why=rule.why)


def note(rule: Rule, text: str, mend: str = "") -> Finding:
    """Something to know."""
    return Finding(severity=Severity.NOTE, text=text, mend=mend, rule=str(rule), why=rule.why)


def rights_not_known(error: Refused, namespace: str) -> Finding:
    """The account may not ask for its own rights: it is outside of ``system:basic-user``."""
    return note(
        Rule.MISSING_RIGHT,
        f"whether the account has all rights is not known: {error}",
        f"let an administrator see: kubectl auth can-i --list -n {namespace} --as=ACCOUNT",
    )
