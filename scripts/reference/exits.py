"""The page of the exit codes, from the one class that decides them, and the errors that carry each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.reference.paper import code, page, sentence, table

from bluegreen.domain.errors import BluegreenError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

INTRODUCTION = """\
What a command answers to whoever started it. A build server acts on these numbers; they do not change their meaning.
[What to do when…](../what-to-do.md) has the next step for each.
"""


def exit_codes() -> str:
    """The page."""
    numbers = table(("code", "name", "meaning"), ((str(int(each)), code(each.name), each.meaning) for each in ExitCode))
    kinds = table(("error", "code", "when"), (_error(each) for each in errors()))
    return page("Exit codes", INTRODUCTION, numbers, "## Errors, and the code of each", kinds)


def errors(base: type[BluegreenError] = BluegreenError) -> Iterator[type[BluegreenError]]:
    """The tree's classes in the module of the domain, each base before what is made of it."""
    for each in base.__subclasses__():
        if each.__module__ == BluegreenError.__module__:
            yield each
        yield from errors(each)


def _error(kind: type[BluegreenError]) -> tuple[str, ...]:
    first = sentence(kind.__doc__).split("\n\n", maxsplit=1)[0]
    return (code(kind.__name__), "130 or 143" if kind.__name__ == "Interrupted" else str(int(kind.exit_code)), first)
