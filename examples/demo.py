"""`make demo`: the main job on this machine, with users of every kind from the first second to the last.

A good release, one that cannot start, one that is too slow, one that answers errors, another good one, and a rollback
by hand. Every figure comes from the load generator's own count, and bluegreen's reports are laid beside it. The exit
code is 1 when anything was lost, or when the two do not agree.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agreement import Reports
from harness import SETTLE, Counts, Load, LocalStack, images_of

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOW = 6
"""Seconds of the observation window: enough for some 700 requests; 459 without an error prove a share under 1 %."""

WIDTH = 80
"""Columns of the narrowest terminal that it is made for."""

FIRST = 5
"""Requests that failed, told one by one."""

PATIENCE_MS = 1000
"""The limit of slowness on a machine that is busy with other things, and may be slow by itself; it is 150 elsewhere."""

LATE_MS = 1000
"""The load generator itself had no time on this machine."""

LOAD_LIMIT = 480.0
"""The load stops by itself, whatever happens to the demo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command of the demo, and how it has to end."""

    title: str
    words: tuple[str, ...]
    code: int
    version: str = ""
    fault: str = ""


def deploy(title: str, version: str, *, fault: str = "", code: int = 0) -> Step:
    """A release of both services."""
    words = ("deploy", *images_of(version), "--validation-time", str(WINDOW))
    return Step(title=title, words=words, code=code, version=version, fault=fault)


STEPS = (
    deploy("a good release", "v2"),
    deploy("a version that cannot start", "v3-broken", fault="cannot-start", code=1),
    deploy("a version that is healthy, but slow", "v4-slow", fault="slow=1500", code=3),
    deploy("a version that is healthy, but answers 5 % errors", "v5-errors", fault="errors=5", code=3),
    deploy("another good release", "v6"),
    Step(title="a rollback by hand", words=("rollback",), code=0),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; what it prints last is the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=int, default=len(STEPS), metavar="N", help="the first N steps only")
    parser.add_argument(
        "--spoil", default="", metavar="FAULT", help="give the good versions this fault, and see the demo fail"
    )
    parser.add_argument(
        "--busy", action="store_true", help="on a machine that is busy with other things: a second is not slow"
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bluegreen-demo-") as folder:
        stack = LocalStack(Path(folder))
        if options.busy:
            stack.allow_slowness(limit_ms=PATIENCE_MS)
        try:
            return _demo(stack, STEPS[: options.only], spoil=options.spoil)
        finally:
            stack.run("down", "--purge")


def _demo(stack: LocalStack, steps: Sequence[Step], *, spoil: str) -> int:
    stack.image("v1")
    for step in steps:
        if step.version:
            stack.image(step.version, fault=step.fault or spoil)
    _say("alfred starts: backend and gateway, two of each in blue and in green, Envoy in front of them")
    stack.up()
    bad = [step.version for step in steps if step.fault]
    reports = Reports(stack.folder / "spans.jsonl")
    load = Load(stack.users(), result=stack.folder / "load.json", seconds=LOAD_LIMIT, bad=bad, spans=reports.path)
    _say("users arrive: new and kept-alive connections, slow requests, POSTs, streams, WebSockets")
    time.sleep(SETTLE)  # traffic before the first switch: the demo's subject, not a wait for luck
    try:
        codes = [_run(stack, number, step, reports) for number, step in enumerate(steps, 1)]
        time.sleep(SETTLE)
        counts = load.stop()
    except BaseException:
        load.kill()
        raise
    return _result(counts, steps, codes, reports)


def _run(stack: LocalStack, number: int, step: Step, reports: Reports) -> int:
    _say(f"{number}. {step.title}")
    print(_command_line(step.words), flush=True)
    process = stack.start(*step.words, stdout=sys.stdout, stderr=subprocess.STDOUT)
    code = process.wait(timeout=LOAD_LIMIT)
    print(f"   exit code {code}", flush=True)
    reports.add(stack.report())
    return code


def _command_line(words: Sequence[str]) -> str:
    """As a person would type it into a terminal of 80 columns."""
    lines = textwrap.wrap(f"$ bluegreen {' '.join(words)}", width=WIDTH - 9, break_on_hyphens=False)
    return "   " + " \\\n       ".join(lines)


def _say(text: str) -> None:
    print("\n" + textwrap.fill(f"=== {text}", width=WIDTH, subsequent_indent="    "), flush=True)


def _result(counts: Counts, steps: Sequence[Step], codes: Sequence[int], reports: Reports) -> int:
    _say("what users saw, counted by the load generator")
    _table(counts)
    agree = _agree(counts, reports)
    rolled_back = codes.count(3)
    as_expected = list(codes) == [step.code for step in steps]
    if not as_expected:
        print(f"exit codes {list(codes)}, expected {[step.code for step in steps]}")
    if counts.failed:
        print("\n".join(lost_lines(counts)))
    lost = counts.column("lost_to_crash")
    if lost:
        print(f"lost to a crash of the new slot: {lost}")
    print(
        f"demo: requests={counts.requests} failed={counts.failed} "
        f"answered_badly={counts.column('answered_badly')} rolled_back={rolled_back}"
    )
    return 0 if as_expected and agree and not counts.failed and not lost else 1


def lost_lines(counts: Counts) -> list[str]:
    """Of what causes requests failed, the first of them, and whether it may have been the machine."""
    causes = ", ".join(f"{number} {cause}" for cause, number in counts.document["causes"].get("failed", {}).items())
    rows = counts.lost
    lines = [f"failed: {causes}; the first of them, in seconds since the load began:"]
    for row in rows[:FIRST]:
        due, sent, end = (row[moment]["ms"] / 1000 for moment in ("due", "sent", "end"))
        lines.append(f"  {row['kind']}: {row['cause']}, due {due:.2f} s, sent {sent:.2f} s, over {end:.2f} s")
    if any(row["sent"]["ms"] - row["due"]["ms"] > LATE_MS for row in rows):
        lines.append("  some were sent long after they were due: this machine was too busy for the load")
    return lines


def _agree(counts: Counts, reports: Reports) -> bool:
    """Lay each release's report beside the load generator's count of the same slot and time."""
    _say("bluegreen's reports beside that count, of the time from each switch to the end of its window")
    found = list(reports.beside(counts.spans))
    for each in found:
        print(textwrap.fill(str(each), width=WIDTH, subsequent_indent="  "))
    return all(each.holds for each in found)


def _table(counts: Counts) -> None:
    print(f"{'version':<22}{'ok':>8}{'moved':>8}{'badly':>8}{'failed':>8}{'first':>10}{'last':>10}")
    for name, row in counts.versions():
        columns = row["columns"]
        figures = "".join(f"{columns[key]:>8}" for key in ("ok", "moved", "answered_badly", "failed"))
        print(f"{name:<22}{figures}{row['first']['ms'] / 1000:>8.1f} s{row['last']['ms'] / 1000:>8.1f} s")


if __name__ == "__main__":
    sys.exit(main())
