"""The expected verdict for each bad version at a stated rate, and what users see of it. Tests and `make e2e` run it.

The thresholds are the specification's (1 % of answers 5xx, P95 of the gateway's overhead 150 ms); none is tuned to the
example. `not proven` is a valid row: at a true share equal to the limit, or where the metrics cannot see the fault,
nothing else would be honest. An error page with status 200 that comes only with the users is told by no counter of the
gateway; what shows is that its backend is hardly asked any more, which proves nothing good of it. Requests of the
pipeline's own, which look at the content, find it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Row:
    """A bad version, and what has to come of it."""

    fault: str
    code: int
    outcome: str
    cause: str
    """Words on the screen."""
    phase: str
    """The last phase that ended well."""
    badly: bool
    """Whether users get complete, bad answers of that version."""
    crash: bool = False
    words: tuple[str, ...] = ()

    @property
    def of_slowness(self) -> bool:
        """Whether its subject is how long answers take."""
        return self.fault.startswith(("slow=", "tail="))


FAILED, TIMED_OUT, ROLLED_BACK = "failed before the switch", "timed out before the switch", "rolled back"
RELEASED, NOT_PROVEN = "released", "released, not proven"

TABLE = (
    Row(fault="cannot-start", code=1, outcome=FAILED, cause="database schema is newer", phase="deploy", badly=False),
    Row(
        fault="never-ready",
        code=70,
        outcome=TIMED_OUT,
        cause="health validation's 10 s",
        phase="deploy",
        badly=False,
        words=("--health-retries", "2"),
    ),
    Row(fault="error-page", code=1, outcome=FAILED, cause="the pair answers", phase="deploy", badly=False),
    Row(fault="crash-after=8", code=3, outcome=ROLLED_BACK, cause="crash", phase="switch", badly=False, crash=True),
    Row(fault="errors=1", code=0, outcome=NOT_PROVEN, cause="error share", phase="observe", badly=True),
    Row(fault="errors=5", code=3, outcome=ROLLED_BACK, cause="error share", phase="switch", badly=True),
    Row(fault="errors=100", code=1, outcome=FAILED, cause="the pair answers", phase="deploy", badly=False),
    Row(fault="post-errors=50", code=3, outcome=ROLLED_BACK, cause="error share", phase="switch", badly=True),
    Row(fault="slow=400", code=3, outcome=ROLLED_BACK, cause="P95 overhead", phase="switch", badly=False),
    Row(fault="tail=400@15", code=3, outcome=ROLLED_BACK, cause="P95 overhead", phase="switch", badly=False),
    Row(fault="tail=400@2", code=0, outcome=RELEASED, cause="", phase="observe", badly=False),
    Row(
        fault="post-errors=1",
        code=0,
        outcome=NOT_PROVEN,
        cause="alfred-gateway POST",
        phase="observe",
        badly=True,
        words=("--validation-time", "20"),
    ),
    Row(fault="kept-alive-errors=5", code=3, outcome=ROLLED_BACK, cause="error share", phase="switch", badly=True),
    Row(
        fault="error-page-after=40",
        code=0,
        outcome=NOT_PROVEN,
        cause="alfred-backend: 0 of",
        phase="observe",
        badly=True,
    ),
    Row(
        fault="error-page-after=40",
        code=3,
        outcome=ROLLED_BACK,
        cause="synthetic traffic",
        phase="switch",
        badly=True,
        words=("--synthetic-traffic",),
    ),
    Row(
        fault="crash-after=24",
        code=3,
        outcome=ROLLED_BACK,
        cause="crash",
        phase="switch",
        badly=False,
        crash=True,
        words=("--validation-time", "30"),
    ),
    Row(
        fault="metrics-gone=40", code=0, outcome=NOT_PROVEN, cause="/metrics answered 404", phase="observe", badly=False
    ),
    Row(
        fault="counters-reset=200",
        code=0,
        outcome=RELEASED,
        cause="its counters began again from nothing",
        phase="observe",
        badly=False,
    ),
    Row(
        fault="counters-reset=200,errors=5",
        code=3,
        outcome=ROLLED_BACK,
        cause="error share",
        phase="switch",
        badly=True,
    ),
    Row(fault="memory=1", code=0, outcome=RELEASED, cause="", phase="observe", badly=False),
)


def in_cluster() -> tuple[Row, ...]:
    """The same rows on Kubernetes.

    A pod lives for two to ten seconds before its users come, so the crash comes later; and its memory is bounded, so
    that a version that grows with every request is killed in the window, which one machine does not do. Users who keep
    a connection stay with the old slot: what fails only for them is not seen, and that is said.
    """
    return tuple(_in_cluster(row) for row in TABLE)


CRASHES = {"crash-after=8": "crash-after=20", "crash-after=24": "crash-after=24"}
STAYED = "over connections from before the switch"


def _in_cluster(row: Row) -> Row:
    if row.crash:
        return replace(row, fault=CRASHES[row.fault])
    if row.fault == "post-errors=1":
        return replace(row, words=("--validation-time", "30"))
    if row.fault.startswith("kept-alive-errors="):
        return replace(row, code=0, outcome=RELEASED, cause=STAYED, phase="observe", badly=False)
    if row.fault.startswith("memory="):
        return replace(row, code=3, outcome=ROLLED_BACK, cause="crash", phase="switch", crash=True)
    return row
