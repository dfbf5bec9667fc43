"""The page of the rights on Kubernetes, from the one list that the preflight and the chart use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.reference.paper import code, page, table, told_below

from bluegreen.platforms.kubernetes import rights as module
from bluegreen.platforms.kubernetes.rights import RIGHTS, Of, Right

if TYPE_CHECKING:
    from collections.abc import Iterator

INTRODUCTION = """\
What an account needs to release on Kubernetes. `rbac.create=true` in the chart makes two accounts: `alfred-releaser`
with all of these, `alfred-reader` with those that are marked, which are enough for the commands that only look.
`rbac.seeNodes=true` adds the two outside the namespace. Which one is missing is told before anything is written.
Why so few: [security](../security.md).
"""
HEADS = ("verbs", "resource", "needed to", "without it", "reader")


def rights() -> str:
    """The page."""
    more = (_more(name, listed) for name, listed in _lists() if name != "RIGHTS")
    return page("Rights on Kubernetes", INTRODUCTION, table(HEADS, map(_row, RIGHTS)), *more)


def _lists() -> Iterator[tuple[str, tuple[Right, ...]]]:
    """The module's public lists of rights."""
    for name, value in vars(module).items():
        if not name.startswith("_") and isinstance(value, tuple) and value and isinstance(value[0], Right):
            yield name, value


def _more(name: str, listed: tuple[Right, ...]) -> str:
    """What only some stacks need, under the module's own words about it."""
    return f"## {name.capitalize()}\n\n{told_below(module)[name]}\n\n{table(HEADS, map(_row, listed))}"


def _row(right: Right) -> tuple[str, ...]:
    which = "" if right.of is Of.ANY else f" ({right.of.value} of the stack)".replace("namespace of", "the one of")
    place = " in all namespaces" if right.everywhere else ""
    what = f"{code(right.resource)}{which}{place}"
    return (", ".join(right.verbs), what, right.why, right.lost or "no release", "yes" if right.reading else "")
