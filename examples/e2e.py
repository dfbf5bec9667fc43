"""`make e2e`: the long run on a real cluster. Releases and rollbacks, with users of every kind on both nodes all along.

Chapters: a control run in which nothing happens; good releases; each bad version of the table of verdicts; releases
that retire the old slot; releases with users who come through an ingress proxy (Envoy, configured by hand, in the
network of a node's pods: no ingress controller). After each step the Services themselves are asked where users are. A
chapter has load of its own, from some seconds before its first step to some after its last.

A rollback is counted when users were brought back: by hand, or by a release by itself. The report of each release is
laid beside the load generator's count. The exit code is 1 when a request failed, when a step did not end as it has to,
or when the two counts do not agree.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agreement import Agreement, Reports
from cluster_harness import QUICK, ClusterLoad, Deaths, Ingress, alfred, running_cluster
from harness import SETTLE, Counts, images_of
from verdicts import ROLLED_BACK, Row, in_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cluster_harness import ClusterStack, Death, Told

SEED = 20_261_124
WINDOW = "3"
BAD_WINDOW = "10"
"""Long enough for some 1,000 metered requests; what is crashing crashes within it."""
LATE_NS = 2_000_000_000
"""After users were routed back, a node may learn of it up to 1.1 s later; a refused connection takes its time, too."""
SECOND_NS = 1_000_000_000
CONTROL_SECONDS = 10.0
OTHER = {"blue": "green", "green": "blue"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command, how it has to end, and where users have to be afterwards."""

    title: str
    words: tuple[str, ...]
    code: int = 0
    outcome: str = ""
    """Of a release; empty: not looked at."""
    moves: bool = True
    """Whether users are on the other slot afterwards."""
    tag: str = ""
    row: Row | None = None

    @property
    def is_release(self) -> bool:
        """Or a rollback by hand."""
        return self.words[0] == "deploy"

    @property
    def brings_back(self) -> bool:
        """Whether users are brought back by it."""
        return not self.is_release or self.outcome == ROLLED_BACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """Steps that share their load."""

    title: str
    steps: tuple[Step, ...]
    ingress: bool = False


@dataclass(slots=True)
class Run:
    """How it goes."""

    stack: ClusterStack
    total: int
    spoil: str = ""
    done: int = 0
    releases: int = 0
    rollbacks: int = 0
    counts: list[Counts] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    windows: list[dict[str, object]] = field(default_factory=list)
    agreements: list[Agreement] = field(default_factory=list)

    @property
    def crashes(self) -> Path:
        """When something of a bad version was dying, for the load generator, which reads it at its end."""
        return self.stack.folder / "crashes.jsonl"

    @property
    def spans(self) -> Path:
        """What the load generator is to count apart, read at its end as well."""
        return self.stack.folder / "spans.jsonl"


# --- what is done ---------------------------------------------------------------------------------------------------


class Script:
    """Writes the chapters: names versions, draws variety from the seed."""

    def __init__(self, seed: int) -> None:
        """Begin with no version."""
        self._chance = random.Random(seed)
        self._name = uuid.uuid4().hex[:6]  # a node keeps an image by its name: another run's versions are others
        self._number = 0

    def tag(self, what: str) -> str:
        """A version that no step has had yet."""
        self._number += 1
        return f"{what}-{self._name}-{self._number}"

    def good(self, *words: str) -> Step:
        """A good release; of every fifth one image is carried over."""
        tag = self.tag("good")
        images = images_of(tag)
        if self._chance.random() < 0.2:
            images = images[:2]
        title = f"a good release{' of one image' if len(images) == 2 else ''}"
        return Step(
            title=" ".join([title, *words]), words=("deploy", *images, "--validation-time", WINDOW, *words), tag=tag
        )

    def back(self, *words: str) -> Step:
        """A rollback by hand."""
        return Step(title=" ".join(["rollback", *words]), words=("rollback", *words))

    def bad(self, row: Row) -> Iterator[Step]:
        """A release of a bad version; where it is not found out, users leave it by hand."""
        tag = self.tag("bad")
        words = ("deploy", *images_of(tag), "--validation-time", "20" if row.crash else BAD_WINDOW, *row.words)
        stays = row.code == 0
        yield Step(
            title=f"a bad version: {row.fault}",
            words=words,
            code=row.code,
            outcome=row.outcome,
            moves=stays,
            tag=tag,
            row=row,
        )
        if stays:
            yield self.back()

    def pairs(self, count: int) -> list[Step]:
        """Good releases, most of them taken back; after the others the next goes to the other slot."""
        return [step for _ in range(count) for step in (self.good(), self.back())]

    def there_and_back(self, count: int) -> list[Step]:
        """Rollbacks with a slot named, one after the other."""
        return [Step(title="rollback --to the other slot", words=("rollback", "--to", "")) for _ in range(count)]


def whole() -> tuple[Chapter, ...]:
    """Fifty releases and fifty rollbacks."""
    script = Script(SEED)
    rows = in_cluster()
    bad = [step for row in rows for step in script.bad(row)]
    retire = [script.good("--scale-down-old"), script.back("--cold"), script.good("--scale-down-old"), script.good()]
    ingress = script.pairs(8)
    chapters = [Chapter(title="bad versions", steps=tuple(bad)), Chapter(title="retire", steps=tuple(retire))]
    chapters.append(Chapter(title="through an ingress", steps=tuple(ingress), ingress=True))
    releases = 50 - sum(step.is_release for chapter in chapters for step in chapter.steps)
    backs = 50 - sum(step.brings_back for chapter in chapters for step in chapter.steps)
    plain = [script.good(), *script.pairs(min(releases - 1, backs))]
    plain += script.there_and_back(backs - min(releases - 1, backs))
    half = 1 + len(plain) // 4 * 2  # between two pairs: a rollback belongs to the release before it
    return (
        Chapter(title="control: nothing happens", steps=()),
        Chapter(title="good releases", steps=tuple(plain[:half])),
        *chapters,
        Chapter(title="good releases again", steps=tuple(plain[half:])),
    )


def short() -> tuple[Chapter, ...]:
    """A few of each."""
    script = Script(SEED + 1)
    rows = {row.fault: row for row in in_cluster()}
    bad = [step for fault in ("error-page", "errors=5") for step in script.bad(rows[fault])]
    return (
        Chapter(title="control: nothing happens", steps=()),
        Chapter(title="good and bad releases", steps=(script.good(), script.back(), *bad, *script.there_and_back(2))),
        Chapter(title="retire, and an ingress", steps=(script.good("--scale-down-old"), script.good()), ingress=True),
    )


def only(faults: Sequence[str]) -> tuple[Chapter, ...]:
    """The bad versions whose fault begins with one of these."""
    script = Script(SEED + 2)
    rows = [row for row in in_cluster() if row.fault.startswith(tuple(faults))]
    return (Chapter(title="bad versions", steps=tuple(step for row in rows for step in script.bad(row))),)


# --- doing it ---------------------------------------------------------------------------------------------------------


def run_chapter(run: Run, chapter: Chapter) -> None:
    """Its steps under load; stops at the first that ends otherwise than it has to."""
    _say(f"=== {chapter.title}")
    for step in chapter.steps:
        if step.tag:
            run.stack.image(step.tag, fault=step.row.fault if step.row else run.spoil)
    bad = [step.tag for step in chapter.steps if step.row]
    if chapter.ingress:
        with Ingress(run.stack, run.stack.cluster.nodes[-1]) as ingress:
            load = ClusterLoad(run.stack, bad=bad, crashes=run.crashes, spans=run.spans, through=ingress)
            _under_load(run, chapter, load)
    else:
        _under_load(run, chapter, ClusterLoad(run.stack, bad=bad, crashes=run.crashes, spans=run.spans))


def _under_load(run: Run, chapter: Chapter, load: ClusterLoad) -> None:
    reports = Reports(run.spans)
    try:
        time.sleep(SETTLE if chapter.steps else CONTROL_SECONDS)  # the run's length, not a wait for something
        for step in chapter.steps:
            if not run.troubles:
                _run_step(run, step)
                reports.add(run.stack.report())
        time.sleep(SETTLE)
        run.crashes.write_text("".join(json.dumps(window) + "\n" for window in run.windows))
        counts = load.stop()
    except BaseException:
        load.kill()
        raise
    run.counts.append(counts)
    columns = ", ".join(f"{name} {count}" for name, count in counts.document["columns"].items())
    _say(f"    {counts.requests} requests: {columns}")
    if counts.failed:
        _say(counts.told())
    _lay_beside(run, reports, counts)


def _lay_beside(run: Run, reports: Reports, counts: Counts) -> None:
    for each in reports.beside(counts.spans):
        run.agreements.append(each)
        _say(f"    {each}")
        if not each.holds:
            run.troubles.append(f"the counts do not agree: {each}")


def _run_step(run: Run, step: Step) -> None:
    before = run.stack.selector()
    words = [word or OTHER[before] for word in step.words]
    with Deaths(run.stack) as deaths:
        told = run.stack.told(*words)
        code = told.end()
        after = run.stack.selector()
    _count(run, step)
    if step.row is not None and step.row.crash:
        run.windows += _windows(step, told, deaths.stop(), slot=OTHER[before])
    outcome = told.summary.get("outcome", "") if told.events else ""
    took = told.summary.get("took", 0.0) if told.events else 0.0
    _say(
        f"{run.done:>4}/{run.total} {step.title}: exit {code}, {outcome or 'users moved'}, {took:.1f} s, {after} serves"
    )
    wanted = (step.code, OTHER[before] if step.moves else before)
    cause = step.row.cause if step.row is not None else ""
    named = not cause or any(cause in json.dumps(event, ensure_ascii=False) for event in told.events)
    if (code, after) != wanted or (step.outcome and outcome != step.outcome) or not named:
        run.troubles.append(
            f"{' '.join(words)}: exit {code}, {outcome}, {after} serves; wanted {wanted} {step.outcome} {cause}"
        )
        _say(run.troubles[-1] + "\n" + told.shown())


def _count(run: Run, step: Step) -> None:
    run.done += 1
    run.releases += step.is_release
    run.rollbacks += step.brings_back


def _windows(step: Step, told: Told, deaths: Sequence[Death], *, slot: str) -> list[dict[str, object]]:
    """From the first death of the slot's containers to when users were back; how long that is, is told."""
    routed, back = told.moment("routed"), told.moment("came_back")
    ends = [death.moment_ns for death in deaths if death.slot == slot]
    after_switch = [end for end in ends if end + SECOND_NS > routed]
    if not after_switch or not back:
        return []
    start = min(after_switch)
    _say(
        f"     it died after {(start - routed) / 1e9:.0f} s; users were back {(back - start) / 1e9:.1f} s later at most"
    )
    return [{"start_ns": start, "end_ns": back + LATE_NS, "slot": slot, "version": step.tag, "bare": True}]


def _say(line: str) -> None:
    print(line, flush=True)


# --- the result -------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; what it prints last is the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--short", action="store_true", help="a few of each, for the tests")
    parser.add_argument(
        "--spoil", default="", metavar="FAULT", help="give the good versions this fault, and see it fail"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="FAULT", help="only the bad versions whose fault begins so"
    )
    options = parser.parse_args(arguments)
    chapters = only(options.only) if options.only else short() if options.short else whole()
    _say(f"seed {SEED}; {sum(len(chapter.steps) for chapter in chapters)} steps")
    settings = () if options.short else QUICK
    began = time.monotonic()
    with running_cluster() as cluster, alfred(cluster, "e2e", *settings) as stack:
        total = sum(len(chapter.steps) for chapter in chapters)
        run = Run(stack=stack, total=total, spoil=options.spoil)
        run.crashes.write_text("")
        run.spans.write_text("")
        for chapter in chapters:
            if not run.troubles:
                run_chapter(run, chapter)
    _say(f"took {(time.monotonic() - began) / 60:.1f} minutes")
    return result(run)


def result(run: Run) -> int:
    """The last line, and the exit code."""
    counts = Counts.together(run.counts)
    badly, lost = counts.column("answered_badly"), counts.column("lost_to_crash")
    _say(f"answered badly by versions known to be bad: {badly}; lost to a crash of the new slot: {lost}")
    agreed = sum(each.holds for each in run.agreements)
    apart = sum(each.most - each.least for each in run.agreements)
    _say(
        f"reports that agree with the load's count: {agreed} of {len(run.agreements)}; {apart} answers could be either"
    )
    for trouble in run.troubles:
        _say(trouble)
    _say(f"e2e: requests={counts.requests} failed={counts.failed} releases={run.releases} rollbacks={run.rollbacks}")
    return 0 if counts.requests and not counts.failed and not run.troubles else 1


if __name__ == "__main__":
    sys.exit(main())
