"""``bluegreen rollback`` as it is most often typed, read without click: importing that takes longer than the reading.

It knows the global options, ``--to`` and ``--reason``, in any place where they may stand, and the variables of which
place is meant. At the first word that it
does not know, or that is wrong in any way, it gives up, and click reads the whole line: so there is one help, one set
of errors, and tests/unit/test_cli_plain_rollback.py holds both readings equal.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bluegreen.cli.program import VARIABLE, program_of
from bluegreen.cli.screen import Heard, listener
from bluegreen.cli.session import DEBUG, PREFIX, USUAL, Format, Kind, Session, folder, not_empty, session_from
from bluegreen.domain.errors import BluegreenError, UsageError
from bluegreen.domain.stack import PROMETHEUS_VARIABLES, Slot
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bluegreen.cli.calls import Calls
    from bluegreen.domain.errors import ExitCode

WORD: Final = "rollback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A rollback as it was asked for."""

    session: Session
    to: Slot | None = None
    cold: bool = False
    reason: str = ""


def run(line: Line, calls: Calls) -> ExitCode:
    """Roll back, with its events shown. Raises BluegreenError."""
    with listener(line.session, calls) as told:
        heard = Heard(told)
        tell = partial(calls.notify, line.session, heard.events, listener=told)
        try:
            code = calls.rollback(line.session, to=line.to, cold=line.cold, reason=line.reason, emit=heard)
        except BluegreenError as error:
            tell(error)
            raise
        tell()
    return code


def line_of(words: Sequence[str], environment: Mapping[str, str]) -> Line | None:
    """What the words ask for; None: click has to read them. A variable that may be an option is click's as well."""
    if any(PREFIX in name and name not in _KNOWN for name in environment):
        return None
    try:
        given: dict[str, Any] = _surroundings(environment) | _given(words)
    except (ValueError, UsageError):
        return None
    if not given.pop(WORD, False):
        return None
    own = {name: given.pop(name) for name in ("to", "reason") if name in given}
    return Line(session=session_from(given, program_of(words, environment)), **own)


def _given(words: Sequence[str]) -> dict[str, Any]:
    """Each option's value by its name, the last one of each. Raises ValueError at what it does not know, UsageError."""
    found: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if word == WORD and WORD not in found:
            found[WORD] = True
        elif word in _FLAGS:
            found[_key(word)] = True
        elif name in _VALUES or (name in _OWN and WORD in found):
            read = _VALUES.get(name) or _OWN[name]
            found[_key(name)] = read(value if equals else _next(rest))
        else:
            raise ValueError(f"{word!r} is not known here")
    return found


def _surroundings(environment: Mapping[str, str]) -> dict[str, object]:
    """What the environment says, upon which any word of the line wins. An empty variable is none."""
    notify = tuple(environment.get(NOTIFY, "").split())
    set_there = ((option, environment.get(variable)) for variable, option in _VARIABLES.items())
    found = {_key(option): _VALUES[option](value) for option, value in set_there if value}
    return found | ({"notify": notify} if notify else {})


def _next(rest: Iterator[str]) -> str:
    """The word after an option. One that looks like an option is left to click."""
    word = next(rest, "-")
    if word.startswith("-"):
        raise ValueError("a value is missing")
    return word


def _key(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def _usual(output: Format) -> Format:
    if output not in USUAL:
        raise ValueError("it is not for a rollback")
    return output


_named: Final = partial(not_empty, of="it")
_FLAGS: Final = frozenset({"--direct", "--no-color"})
_VALUES: Final[Mapping[str, Callable[[str], object]]] = {
    "--state": folder,
    "--app": lambda text: Path(_named(text)),
    "--platform": Kind,
    "--namespace": _named,
    "--context": _named,
    "--output": lambda text: _usual(Format(text)),
}
_VARIABLES: Final = {
    f"{PREFIX}_{_key(option).upper()}": option for option in ("--platform", "--namespace", "--context")
}
NOTIFY: Final = f"{PREFIX}_NOTIFY"
_KNOWN: Final = frozenset({VARIABLE, DEBUG, NOTIFY, *PROMETHEUS_VARIABLES, *_VARIABLES})
_OWN: Final[Mapping[str, Callable[[str], object]]] = {"--to": Slot, "--reason": str}
"""Those of the command itself, which stand after its name."""
