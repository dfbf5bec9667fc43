"""JSON read without surprises: what is missing or null is empty, what has another type is told by its place.

The API server sends null for empty lists and leaves out what is zero, so both must read the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from bluegreen.platforms.kubernetes.errors import NotKubernetes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bluegreen.domain.errors import BluegreenError

T = TypeVar("T")

Json = Mapping[str, object]
"""An object as it is sent and received."""


def _of_server(what: str) -> BluegreenError:
    return NotKubernetes(
        f"the API server sent {what}",
        mend="check the server's address in KUBECONFIG, and that it is Kubernetes 1.30 or newer",
    )


class Node:
    """One place in an object. A thousand are made for a list of pods, so it is as plain as a class can be."""

    __slots__ = ("fault", "place", "value")

    def __init__(self, value: object, place: str = "", fault: Callable[[str], BluegreenError] = _of_server) -> None:
        """``fault`` makes the error for ``something else than a text at .spec.replicas``, for whoever wrote it."""
        self.value = value
        self.place = place
        self.fault = fault

    def at(self, *names: str) -> Node:
        """The place below, by names; empty when there is none."""
        node = self
        for name in names:
            node = Node(node.mapping().get(name), f"{node.place}.{name}", self.fault)
        return node

    def mapping(self) -> Json:
        """An object's fields."""
        return {} if self.value is None else _expect(self, dict, "an object")

    def items(self) -> Iterator[Node]:
        """A list's elements."""
        found = [] if self.value is None else _expect(self, list, "a list")
        return (Node(item, f"{self.place}[{index}]", self.fault) for index, item in enumerate(found))

    def texts(self) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(item.text() for item in self.items())

    def pairs(self) -> dict[str, str]:
        """Labels, annotations, selectors, data: names and texts."""
        return {name: self.at(name).text() for name in self.mapping()}

    def text(self) -> str:
        """A text; empty when there is none."""
        return "" if self.value is None else _expect(self, str, "a text")

    def number(self, default: int = 0) -> int:
        """A whole number. ``default``: what the API means when it is left out."""
        if isinstance(self.value, bool):
            raise _other(self, "a number")
        return default if self.value is None else _expect(self, int, "a number")

    def flag(self) -> bool:
        """True or false; false when there is none."""
        return False if self.value is None else _expect(self, bool, "true or false")

    def either(self) -> str:
        """A number or a text (``50%``), as a text."""
        return str(self.value) if isinstance(self.value, int) else self.text()

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return self.value is not None


def _expect(node: Node, kind: type[T], what: str) -> T:
    if not isinstance(node.value, kind):
        raise _other(node, what)
    return node.value


def _other(node: Node, what: str) -> BluegreenError:
    """Named by its place only: the value may be a secret."""
    return node.fault(f"something else than {what} at {node.place or 'the top'}")
