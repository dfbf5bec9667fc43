"""What a Prometheus server answers to a query: rows of labels and values, or the reason why it is none. Pure.

The format is that of its HTTP API, /api/v1/query. An answer that is not wholly as documented is refused whole: half of
the series would be half of the requests.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from bluegreen.domain.values import dataclass
from bluegreen.metrics.counts import Unreadable, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Row:
    """One series: its labels, and its values with their times (seconds since 1970), the newest last."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def value(self) -> float:
        """The newest value."""
        return self.points[-1][1]


def rows(body: bytes, *, kind: str = "") -> tuple[Row, ...]:
    """The rows of an answer with status 200. ``kind``: its Content-Type, for the error. Raises Unreadable."""
    try:
        answer = json.loads(body)
        if answer["status"] != "success":
            raise Unreadable(_refusal(answer))
        if answer.get("warnings"):
            raise Unreadable(f"answers with a warning, so its numbers may not be whole: {_first(answer['warnings'])}")
        if answer.get("isPartial"):
            raise Unreadable("answers in part, for a part of its stores is away (isPartial)")
        data = answer["data"]
        if data["resultType"] not in {"vector", "matrix"}:
            raise Unreadable(f"answers with a {excerpt(data['resultType'])}, not with series: mend the query")
        found = tuple(_row(each) for each in data["result"])
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError) as error:
        what = f" ({kind.partition(';')[0]})" if kind else ""
        raise Unreadable(f"answers with something that is no answer of a Prometheus{what}") from error
    _refuse_twins(found)
    return found


def refusal(body: bytes) -> str:
    """What an answer with another status says of itself; empty: nothing that can be told."""
    try:
        return _refusal(json.loads(body))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return ""


def _refusal(answer: Mapping[str, Any]) -> str:
    return f"refuses the query: {excerpt(str(answer['errorType']))} {excerpt(str(answer['error']))}"


def _first(warnings: Sequence[object]) -> str:
    return excerpt(str(warnings[0]))


def _row(found: Mapping[str, Any]) -> Row:
    labels = found["metric"]
    points = found["values"] if "values" in found else [found["value"]]
    if not points or not all(isinstance(text, str) for pair in labels.items() for text in pair):
        raise ValueError("a series without values, or with labels that are no text")
    row = Row(dict(labels), tuple((float(at), float(value)) for at, value in points))
    if not all(math.isfinite(at) for at, _ in row.points):
        raise ValueError("a value without a time")
    return row


def _refuse_twins(found: Iterable[Row]) -> None:
    """One series twice would be counted twice."""
    seen: set[frozenset[tuple[str, str]]] = set()
    for row in found:
        key = frozenset(row.labels.items())
        if key in seen:
            raise Unreadable(f"answers with one series twice: {excerpt(str(dict(row.labels)))}")
        seen.add(key)
