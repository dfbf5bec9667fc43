"""What may be shown and kept of a program's log: its last lines, bounded, nothing that steers a terminal, no secrets.

Secrets are found by their looks, which finds those that programs log by mistake, not those that hide.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HIDDEN = "***"
LONGEST = 500
"""Characters of one line."""
LARGEST = 4096
"""Characters of an excerpt: it goes into a journal's entry."""
LONGEST_READ = 16 * 1024
"""Characters of a line that are looked at: what is beyond them is never shown."""

_STEERING = re.compile(r"\x1b(?:\[[0-?]{0,20}[ -/]{0,5}[@-~]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)|[@-Z\\^_])")

_SCHEME = r"(?:basic|bearer|digest|negotiate|token)\s+"
_THEIRS = r"(?<!to fetch )(?<!to fetch oauth )(?<!to fetch anonymous )token"
"""Not of the node that got none: what follows there is the cause."""
_NAMES = (
    rf"(?<![a-z])(?:pass|pwd)|passw(?:or)?d|passphrase|secret|{_THEIRS}|credentials?|signature|[?&]sig"
    r"|(?:api|access|private|account|encryption|master|shared|signing)[ _-]?key"
)
_REST = r"(?:[_-]\w{0,20}|(?-i:(?<=[a-z])[A-Z])\w{0,20})?"
"""Of a longer name: ``token_id``, ``secretKey``; "passed" is none."""
_QUOTE = r"(?:\\?[\"'])?"
"""Also as it stands in a JSON text that is itself text in one."""
_IS = r"\s{0,5}[:=]{1,2}>?\s{0,5}"
"""Between a name and its value, in the notations of configuration and of what languages print."""
_NO_VALUE = (
    r"(?!(?:permission denied|no such file|not found|exec format|is a directory|not a directory|input/output|"
    r"operation not permitted|read-only file|text file busy|executable file not)\b)"
)
"""What a kernel says of a file whose name is like a secret's, ``"/etc/passwd": permission denied``: it is the cause."""
_VALUE = (
    r"(?:\[\s{0,2})?(?:[bru]{1,2}(?=[\"']))?"  # the first of a list, a kind of text in Python
    r"(?:\\\"(?:[^\"\\]|\\[^\"])*(?:\\\")?|\"(?:[^\"\\]|\\.)*\"?|'[^']*'?|[^\s,;&\"']+)"
)

_TOKENS = (
    r"gh[opusr]_|github_pat_|glpat-|xox[abprs]-|xapp-|sk-|[sr]k_(?:live|test)_|whsec_|AKIA|ASIA|AIza|ya29\.|npm_|pypi-"
    r"|hvs\.|SG\.|dop_v1_|dckr_[a-z]{3}_"
)
"""How tokens begin. Docker Hub's stands in its own word for a pull limit, which is a cause."""

_BEGIN = r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_END = r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY"

_SECRETS = (
    (re.compile(rf"({_BEGIN}).*?(?={_END}|$)"), rf"\1{HIDDEN}"),
    # A password may hold a slash; a port is none.
    (re.compile(r"(://[^/\s:@]{0,200}:)(?!\d{1,5}/)(?:[^\s\"<>]{1,4000}|[^/\s]+)@"), rf"\1{HIDDEN}@"),
    (re.compile(r"(\b[\w.-]{1,64}:)[^\s\"]{1,200}@(?=(?:tcp|udp|unix)?\()"), rf"\1{HIDDEN}@"),  # Go's for MySQL
    (re.compile(r"\b((?:set-)?cookie[\"']?\s*[:=]\s*).+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (
        re.compile(
            rf"(authorization{_QUOTE}{_IS}(?:\[\s{{0,2}})?{_QUOTE}(?:{_SCHEME})?)"
            r"[^\s\"',;\\\]]+(?: {1,3}[^\s\"',;\\\]]{8,})?",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\b((?:bearer|basic)\s+)[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(rf"((?:{_NAMES}){_REST}{_QUOTE}{_IS}){_NO_VALUE}{_VALUE}", re.IGNORECASE), rf"\1{HIDDEN}"),
    (
        re.compile(rf"((?<!\w)--?(?:[a-z0-9]{{1,20}}-){{0,5}}(?:{_NAMES})\s{{1,5}})[^\s-]\S*", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    (re.compile(rf"(<[\w:]{{0,30}}(?:{_NAMES})\w{{0,20}}>)[^<]{{1,500}}", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"(\"auth\"\s{0,5}:\s{0,5}\")[^\"]+"), rf"\1{HIDDEN}"),  # of a registry's credentials
    (
        re.compile(r"(hooks\.slack\.com/\w{1,20}/|discord(?:app)?\.com/api/webhooks/|telegram\.org/bot)\S+"),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?"), HIDDEN),
    (re.compile(rf"\b(?:{_TOKENS})[\w.-]{{12,}}"), HIDDEN),
    (re.compile(r"^\s*[A-Za-z0-9+/=]{40,}$"), HIDDEN),  # a line of a key
)

_KEY_BEGINS, _KEY_ENDS = re.compile(_BEGIN), re.compile(_END)
_KEY_IN_ONE = re.compile(rf"{_BEGIN}.*{_END}")
_OF_A_KEY = re.compile(r"(?:^|\s)[A-Za-z0-9+/=]{1,80}$")


def excerpt(text: str, *, lines: int) -> tuple[str, ...]:
    """The last lines that say something, each fit to be shown. Where it is too much the first of them go."""
    return _bounded(line for line in shown_lines(text.splitlines()[-lines:]) if line.strip())


def shown_lines(lines: Sequence[str], *, longest: int = LONGEST) -> tuple[str, ...]:
    """Lines that follow one another, as they may be shown: a private key may go over many of them."""
    keys = _lines_of_keys(lines)
    return tuple(HIDDEN if at in keys else shown(line, longest=longest) for at, line in enumerate(lines))


def _lines_of_keys(lines: Sequence[str]) -> set[int]:
    """Which are of a private key. Of the last lines of a log, its first ones may be missing."""
    found: set[int] = set()
    begins = -1
    for at, line in enumerate(lines):
        if _KEY_IN_ONE.search(line):
            continue  # a line by itself, as in a JSON text, says nothing of those above it
        if _KEY_ENDS.search(line):
            found.update(each for each in range(begins + 1, at) if begins >= 0 or _OF_A_KEY.search(lines[each]))
            begins = -1
        elif _KEY_BEGINS.search(line):
            begins = at
    return found


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
