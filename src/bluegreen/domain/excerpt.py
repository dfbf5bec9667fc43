"""What may be shown and kept of a program's log: its last lines, bounded, nothing that steers a terminal, no secrets.

Secrets are found by their looks, which finds those that programs log by mistake, not those that hide.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

HIDDEN = "***"
LONGEST = 500
"""Characters of one line."""
LARGEST = 4096
"""Characters of an excerpt: it goes into a journal's entry."""
LONGEST_READ = 16 * 1024
"""Characters of a line that are looked at: what is beyond them is never shown."""

_STEERING = re.compile(r"\x1b(?:\[[0-?]{0,20}[ -/]{0,5}[@-~]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)|[@-Z\\^_])")

_SCHEME = r"(?:basic|bearer|digest|negotiate|token)\s+"
_NAMES = (
    r"(?<![a-z])(?:pass|pwd)|passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|credentials?|signature"
)
_QUOTE = r"(?:\\?[\"'])?"
"""Also as it stands in a JSON text that is itself text in one."""
_VALUE = r"(?:\\\"(?:[^\"\\]|\\[^\"])*(?:\\\")?|\"(?:[^\"\\]|\\.)*\"?|'[^']*'?|[^\s,;&\"']+)"

_TOKENS = r"gh[opusr]_|github_pat_|glpat-|xox[abprs]-|sk-|sk_(?:live|test)_|AKIA|ASIA|AIza|npm_|dckr_[a-z]{3}_"
"""How tokens begin. Docker Hub's stands in its own word for a pull limit, which is a cause."""

_SECRETS = (
    (re.compile(r"(://[^/\s:@]{0,200}:)[^/\s]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"\b((?:set-)?cookie[\"']?\s*[:=]\s*).+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (
        re.compile(rf"(authorization{_QUOTE}\s*[:=]\s*{_QUOTE}(?:{_SCHEME})?)[^\s\"',;\\]+", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\b((?:bearer|basic)\s+)[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1{HIDDEN}"),
    (
        re.compile(rf"((?:{_NAMES})(?:[_-]\w{{0,20}})?{_QUOTE}\s{{0,5}}[:=]\s{{0,5}}){_VALUE}", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?"), HIDDEN),
    (re.compile(rf"\b(?:{_TOKENS})[\w-]{{12,}}"), HIDDEN),
    (re.compile(r"^[A-Za-z0-9+/=]{40,}$"), HIDDEN),  # a line of a key
)


def excerpt(text: str, *, lines: int) -> tuple[str, ...]:
    """The last lines that say something, each fit to be shown. Where it is too much the first of them go."""
    return _bounded(shown(line) for line in text.splitlines()[-lines:] if line.strip())


def shown(line: str, *, longest: int = LONGEST) -> str:
    """One line as it may be shown."""
    plain = _STEERING.sub("", line[:LONGEST_READ])
    visible = "".join(letter if letter.isprintable() else " " for letter in plain).rstrip()
    for looks, instead in _SECRETS:
        visible = looks.sub(instead, visible)
    return visible if len(visible) <= longest else visible[: longest - 1] + "…"


def _bounded(lines: Iterable[str]) -> tuple[str, ...]:
    kept: list[str] = []
    room = LARGEST
    for line in reversed(tuple(lines)):
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return tuple(reversed(kept))
