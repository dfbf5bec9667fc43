"""Lays bluegreen's report beside the load generator's count: two witnesses that know nothing of each other.

The report has the pods' own counters, read at two moments. The load generator has each request. What was under way when
the counters were read may be in them or not, and nobody can know: so the load generator gives two numbers, and the
report agrees when its own lies between them. How far they are apart is told.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

SERVICE = "alfred-gateway"
"""Whom the load generator calls, and whose counter it can be compared with."""

SLACK_NS = 100_000_000
"""A client has its answer before the server's process has come to count it, on a busy machine by this much."""


class Reports:
    """The reports of the releases under one load, and the spans that its generator is to count for them."""

    def __init__(self, path: Path) -> None:
        """``path``: the file of spans, which the generator reads at its end."""
        self.path = path
        self._reports: dict[str, Mapping[str, Any]] = {}
        path.write_text("")

    def add(self, report: Mapping[str, Any]) -> None:
        """One more; one that counted nothing, for it came to no switch, is left out."""
        counted = report.get("counted")
        if counted is None or report["id"] in self._reports:
            return
        self._reports[report["id"]] = report
        span = {
            "name": report["id"],
            "slot": report["target"],
            "start_ns": int(counted["since"] * 1e9),
            "until_ns": int(counted["until"] * 1e9) - SLACK_NS,
            "latest_ns": int(counted["latest"] * 1e9),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(span) + "\n")

    def beside(self, spans: Sequence[Mapping[str, Any]]) -> Iterator[Agreement]:
        """Each report beside what the generators counted for it, several of them added up."""
        for name, report in self._reports.items():
            mine = [span for span in spans if span["name"] == name]
            yield _beside(report, mine)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One release, counted twice."""

    release: str
    slot: str
    answers: int
    """As the report has it, and of those the ones with 5xx."""
    errors: int
    gaps: int
    """What the report says that it could not count."""
    least: int
    """As the load generator has it, at least and at most."""
    most: int
    least_errors: int
    most_errors: int

    @property
    def holds(self) -> bool:
        """Whether both can be right. A report with gaps has counted too little, and says so."""
        least, least_errors = (0, 0) if self.gaps else (self.least, self.least_errors)
        return least <= self.answers <= self.most and least_errors <= self.errors <= self.most_errors

    def __str__(self) -> str:
        """A line for people; the two numbers of the load differ by what could be either."""
        word = "agree" if self.holds else "DISAGREE"
        known = f"{self.gaps} gap{'s' * (self.gaps > 1)}, so not all is known" if self.gaps else f"5xx {self.errors}"
        load = f"load {self.least} to {self.most}, 5xx {self.least_errors} to {self.most_errors}"
        return f"{self.release} in {self.slot}: {word}; report {self.answers}, {known}; {load}"


def _beside(report: Mapping[str, Any], spans: Sequence[Mapping[str, Any]]) -> Agreement:
    counted = report["counted"]
    mine = [each for each in counted["answered"] if (each["service"], each["slot"]) == (SERVICE, report["target"])]
    answers = [(status, count) for each in mine for status, count in each["answers"]]

    def total(name: str) -> int:
        return sum(span[name] for span in spans)

    own = counted["synthetic"]  # bluegreen's own requests, which the load generator knows nothing of

    return Agreement(
        release=report["id"],
        slot=report["target"],
        answers=sum(count for _, count in answers),
        errors=sum(count for status, count in answers if status >= 500),
        gaps=len(counted["gaps"]),
        least=total("least"),
        most=total("most") + own,
        least_errors=total("least_errors"),
        most_errors=total("most_errors") + own,
    )
