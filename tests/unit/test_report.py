"""The report of real (rehearsed) runs in every format: complete, safe whatever a pod says, and alike in its figures."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import bluegreen
from bluegreen.cli import main
from bluegreen.cli.calls import Calls
from bluegreen.cli.github import LONGEST, MOST, command
from bluegreen.cli.program import PLAIN
from bluegreen.cli.views.html import html_page
from bluegreen.cli.views.json import fields
from bluegreen.cli.views.markdown import escaped, markdown_lines
from bluegreen.cli.views.paper import Paper
from bluegreen.cli.views.report import lost_words, report_lines
from bluegreen.domain.cause import Cause
from bluegreen.domain.codec import from_plain, to_plain
from bluegreen.domain.errors import ExitCode, HeldBy
from bluegreen.domain.plan import Options
from bluegreen.domain.release import Began, Ended, Entry, Outcome, Run, RunKind, Sample, fold
from bluegreen.domain.report import Report, report_of
from bluegreen.domain.stack import Slot
from bluegreen.domain.values import replace
from bluegreen.pipeline.release import release
from bluegreen.pipeline.rollback import rollback
from bluegreen.pipeline.verify import verify
from bluegreen.testing import Behaviour, Rehearsal

if TYPE_CHECKING:
    from bluegreen.cli.calls import Emit, Ending, Order
    from bluegreen.cli.session import Session
    from bluegreen.domain.stack import Stack

pytestmark = pytest.mark.usefixtures("elsewhere")

EVIL = (
    "<script>alert(1)</script> </style> | `x` ::error::y \x1b[31m\n\r"
    "@team www.evil.example http://evil.example **b** $x$"
)


def released(behaviour: Behaviour | None = None, **options: Any) -> Rehearsal:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = behaviour or Behaviour()
    rehearsal.deploy("v2", options=Options(validation_time=20.0, **options))
    return rehearsal


def report(rehearsal: Rehearsal) -> Report:
    return report_of(rehearsal.last_run())


def evil_run() -> Run:
    """A failed release whose every text was written by somebody else."""
    good = released().last_run()
    assert good.plan is not None
    assert good.ended is not None
    assert good.ended.course is not None
    cause = Cause(service=EVIL, slot=Slot.GREEN, reason=EVIL, pod=EVIL, advice=EVIL)
    change = replace(good.plan.changes[0], service=EVIL)
    plan = replace(good.plan, stack=EVIL, changes=(change, *good.plan.changes[1:]))
    course = replace(good.ended.course, warnings=(EVIL,))
    ended = Ended(outcome=Outcome.FAILED, why=EVIL, cause=cause, took=3.0, course=course)
    bodies = [Began(plan=plan, who=EVIL), *[entry.body for entry in good.entries[1:-1]], ended]
    run = fold(Entry(run="r-1", at=1_750_000_000.0 + at, body=body) for at, body in enumerate(bodies))
    assert run is not None
    return run


# --- what it says -----------------------------------------------------------------------------------------------------


def test_a_good_release_tells_when_each_phase_ran_and_what_was_counted() -> None:
    found = report(released(Behaviour(errors=0.001)))

    assert [phase.phase for phase in found.phases] == ["detect", "deploy", "validate", "switch", "observe"]
    assert all(phase.took is not None for phase in found.phases)
    observe = found.phases[-1]
    assert observe.took == pytest.approx(20.0)
    assert found.counted is not None
    assert found.counted.requests == pytest.approx(2000, abs=5)
    assert found.counted.errors == pytest.approx(2, abs=1)
    assert found.witness == "green answers at the address that users call"
    assert found.samples[0] == Sample(at=found.counted.since, requests=0, errors=0, slow=0)
    assert (found.samples[-1].requests, found.samples[-1].errors) == (found.counted.requests, found.counted.errors)
    assert [sample.at for sample in found.samples] == sorted(sample.at for sample in found.samples)
    assert any("a request that reached no pod" in line for line in found.unknown)


def test_what_was_not_counted_is_said_service_by_service() -> None:
    assert any(line.startswith("pair-back: its answers are not counted") for line in report(released()).unknown)


def test_a_rolled_back_release_tells_how_long_the_way_back_took() -> None:
    found = report(released(Behaviour(errors=0.05)))
    assert found.outcome == "rolled back"
    assert found.back_in is not None
    assert "restore" in [phase.phase for phase in found.phases]
    assert found.judged == "fail"


def test_a_window_that_was_bad_went_on_to_its_end() -> None:
    """It is no phase that was broken off: it has a bar in the chart, and its time in every format."""
    run = released(Behaviour(errors=0.05)).last_run()
    found = report_of(run)
    observe = next(phase for phase in found.phases if phase.phase == "observe")
    assert observe.took is None
    assert observe.lasted == pytest.approx(20.0)
    assert {phase.lasted for phase in found.phases if phase.took is not None} == {None}
    for page in pages_of(run):
        assert "20 s, not good" in page
        assert "broken off" not in page


def test_a_phase_that_failed_ends_where_the_slot_is_put_back() -> None:
    found = report(released(Behaviour(never_ready=True)))
    validate = next(phase for phase in found.phases if phase.phase == "validate")
    assert validate.took is None
    assert validate.lasted == pytest.approx(35.0)


def test_a_killed_release_has_the_phases_of_its_entries_and_says_so() -> None:
    good = released().last_run()
    killed = fold(good.entries[:-2])
    assert killed is not None
    found = report_of(killed)
    assert [phase.phase for phase in found.phases] == ["deploy", "switch", "observe"]
    assert (found.phases[-1].took, found.phases[-1].lasted) == (None, None)
    assert "broken off" in "\n".join(report_lines(Paper(), killed, found))
    assert "has not ended, or was killed" in found.unknown[0]


def test_a_release_that_another_process_took_up_keeps_the_first_one_s_phases() -> None:
    rehearsal = Rehearsal()

    def kill(_name: str) -> None:
        if next((run for run in rehearsal.tools().runs() if run.confirmed is not None), None) is not None:
            raise KeyboardInterrupt

    rehearsal.platform.on_call = kill
    with pytest.raises(KeyboardInterrupt):
        rehearsal.deploy("v2")
    rehearsal.platform.on_call = lambda _name: None
    rehearsal.die()
    rehearsal.deploy("v2", options=Options(validation_time=20.0))

    run = next(run for run in rehearsal.tools().runs() if run.confirmed is not None)
    phases = report_of(run).phases
    assert [phase.phase for phase in phases][:2] == ["deploy", "switch"]
    assert phases[-1].phase == "observe"
    assert phases[-1].took == pytest.approx(30.0)


def test_a_rollback_by_hand_has_a_report() -> None:
    rehearsal = released()
    rehearsal.rollback()
    found = report(rehearsal)
    assert (found.kind_of_run, found.target, found.of, found.checklist) == (RunKind.ROLLBACK, Slot.BLUE, "r-1", ())
    for page in pages_of(rehearsal.last_run()):
        assert "to blue, taking back r-1" in page


def test_the_course_is_bounded_and_covers_the_whole_window() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2", options=Options(validation_time=3600.0))
    ended = rehearsal.last_run().ended
    assert ended is not None
    assert ended.course is not None
    samples = ended.course.samples
    assert 40 < len(samples) <= 120
    assert samples[-1].at - samples[0].at > 3500


def test_what_was_not_counted_is_no_count_of_nothing() -> None:
    found = report(released(Behaviour(no_metrics=True)))
    assert found.counted is not None
    assert lost_words(found.counted).startswith("not known: no answer was counted in the 20 s from just before the")


def pages_of(run: Run) -> tuple[str, ...]:
    """The formats for people."""
    found = report_of(run)
    return (
        " ".join("\n".join(report_lines(Paper(), run, found)).split()),
        "\n".join(markdown_lines(found, PLAIN)),
        html_page(found, PLAIN),
    )


def test_every_format_for_people_has_the_same_words() -> None:
    """Those of the screen: good, bad, not proven; what would settle it; how long it and the moves of users took."""
    for page in pages_of(released(Behaviour(errors=0.05)).last_run()):
        assert "5.00%" in page
        assert re.search(r"\bbad\b", page)
        assert not re.search(r"\b(pass|fail|inconclusive)\b", page)
        assert re.search(r"began|begun", page, re.IGNORECASE)
        assert re.search(r"took \d+ s", page)
        assert "switched in 0.01 s" in page
        assert "brought back in 0.01 s" in page
    for page in pages_of(released(Behaviour(no_metrics=True)).last_run()):
        assert re.search(r"to settle it:(\*\*)? ", page, re.IGNORECASE)
        assert "inconclusive" not in page


# --- formats ----------------------------------------------------------------------------------------------------------

RUNS = {
    "good": lambda: released().last_run(),
    "slow and rolled back": lambda: released(Behaviour(slow=0.5)).last_run(),
    "never ready": lambda: released(Behaviour(never_ready=True)).last_run(),
    "retired": lambda: released(scale_down_old=True).last_run(),
    "hostile": evil_run,
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_text_keeps_to_80_columns_and_steers_no_terminal(run: Any) -> None:
    found = run()
    lines = report_lines(Paper(), found, report_of(found))
    assert all(line.isprintable() for line in lines)
    if found.plan is not None and EVIL not in found.plan.stack:  # a word that is longer than a line stays whole
        assert [line for line in lines if len(line) > 80] == []


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_json_holds_all_of_it_and_comes_back_the_same(run: Any) -> None:
    found = report_of(run())
    line = json.loads(json.dumps(fields(found)))
    assert from_plain(Report, {"kind": "report", **line}) == found
    assert to_plain(found) == {"kind": "report", **line}


class Page(HTMLParser):
    """Every tag and attribute of a page, and what is open at its end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_the_page_asks_nobody_for_anything(run: Any) -> None:
    text = html_page(report_of(run()), PLAIN)
    page = Page(text)

    assert text.isascii()
    assert page.open == []
    names = {tag for tag, _ in page.tags}
    assert names.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "base", "form", "a", "image", "use"})
    attributes = {name for _, attrs in page.tags for name in attrs}
    assert attributes.isdisjoint({"src", "href", "xlink:href", "srcset", "action"})
    assert not [name for name in attributes if name.startswith("on")]
    style = re.sub(r"[^{}]*http://www\.w3\.org/[^\"']*", "", text)
    assert "@import" not in style
    assert "url(" not in style
    policy = next(attrs for tag, attrs in page.tags if tag == "meta" and "http-equiv" in attrs)
    assert "default-src 'none'" in str(policy["content"])


def test_the_page_shows_hostile_text_as_it_is() -> None:
    page = Page(html_page(report_of(evil_run()), PLAIN))
    shown = "".join(page.text)
    assert "<script>alert(1)</script>" in shown
    assert "\x1b" not in shown


def test_the_page_can_be_read_without_its_pictures() -> None:
    page = Page(html_page(report(released()), PLAIN))
    figures = [attrs for tag, attrs in page.tags if attrs.get("role") == "img"]
    assert len(figures) == 3
    assert all(attrs["aria-label"] for attrs in figures)
    assert [attrs["lang"] for tag, attrs in page.tags if tag == "html"] == ["en"]
    assert all("scope" in attrs for tag, attrs in page.tags if tag == "th")
    assert sum(tag == "h1" for tag, _ in page.tags) == 1


def test_the_words_of_a_chart_can_be_read_on_a_phone() -> None:
    """A chart is as wide as the page, there some 340 pixels."""
    text = html_page(report(released()), PLAIN)
    widths = [float(width) for width in re.findall(r'viewBox="0 0 ([0-9.]+) ', text)]
    sizes = [float(size) for size in re.findall(r"\.axis text\{[^}]*font-size:([0-9.]+)px", text)]
    assert len(widths) == len(sizes) == 3
    assert min(sizes) * 340 / max(widths) > 8


def test_drawing_leaves_nothing_in_python_s_imports() -> None:
    html_page(report(released()), PLAIN)
    assert [hook for hook in sys.meta_path if type(hook).__module__.startswith("pygal")] == []


def test_the_script_s_python_finds_the_charts() -> None:
    """It is started without its own packages (devops/scripts/blue_green_deploy.sh)."""
    sources = str(Path(bluegreen.__file__).parents[1])
    words = f"import sys; sys.path.insert(0, {sources!r}); from bluegreen.cli.views import charts; charts.require()"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", words], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_was_warned_of_and_the_five_minutes_are_in_every_format() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2")
    run = rehearsal.last_run()
    assert run.ended is not None
    assert run.ended.course is not None
    assert verify(rehearsal.tools()) is ExitCode.OK
    warned = replace(run.ended, course=replace(run.ended.course, warnings=("the budgets were not set",)))
    run = rehearsal.last_run()
    found = fold([replace(each, body=warned) if isinstance(each.body, Ended) else each for each in run.entries])
    assert found is not None
    report = report_of(found)
    assert report.verified
    for page in pages_of(found):
        assert "the budgets were not set" in page
        assert re.search(r"the five minutes after the switch[^.]", page, re.IGNORECASE)


def test_markdown_shows_hostile_text_as_it_is() -> None:
    lines = list(markdown_lines(report_of(evil_run()), PLAIN))
    assert all(line.isprintable() for line in lines)
    rows = [line for line in lines if line.startswith("|")]
    for row in rows:
        assert row.count("|") in {4, 5}, row
    text = "\n".join(lines)
    for active in ("<script", "`x`", "@team", "www.evil", "http://evil", "$x$", "**b**"):
        assert active not in text
    assert "&#60;script&#62;" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", "a&#124;b"),
        ("::error::x", "&#58;&#58;error&#58;&#58;x"),
        ("gateway: 0 of 3 (1.00%)", "gateway: 0 of 3 (1.00%)"),
        ("line\nbreak", "line break"),
        ("WWW.x.example", "WWW&#46;x.example"),
    ],
)
def test_markdown_escapes_what_it_must_and_leaves_plain_words(text: str, shown: str) -> None:
    assert escaped(text) == shown


# --- the command line, and GitHub Actions ---------------------------------------------------------------------------


class Rehearsed(Calls):
    """The command line over a rehearsal."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        self.rehearsal = rehearsal
        self.raises: Exception | None = None
        self.no_journal = False

    def stack(self, session: Session) -> Stack:
        return self.rehearsal.stack

    def _tools(self, emit: Emit) -> Any:
        if self.raises is not None:
            raise self.raises
        return replace(self.rehearsal.tools(), emit=emit)

    def deploy(self, session: Session, order: Order, *, emit: Emit, ended: Ending) -> ExitCode:
        code = release(self._tools(emit), images=order.images, options=order.options, dry_run=order.dry_run)
        ended(None)
        return code

    def rollback(self, session: Session, *, to: Slot | None, cold: bool, reason: str, emit: Emit) -> ExitCode:
        return rollback(self._tools(emit), to=to, cold=cold, reason=reason)

    def verify(self, session: Session, *, release: str | None, wait: bool, emit: Emit) -> ExitCode:
        return verify(self._tools(emit), release=release, wait=wait)

    def runs(self, session: Session, *, newest: int) -> list[Run]:
        return list(self.rehearsal.tools().runs())[:newest]

    def run(self, session: Session, name: str) -> Run | None:
        if self.no_journal:
            raise HeldBy("the journal cannot be read", holder="x")
        return self.rehearsal.tools().run(name)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """The runner's environment; the file of the step's summary."""
    path = tmp_path / "summary.md"
    os.environ.update({"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(path)})
    return path


DEPLOY = ("deploy", "--front-image", "team/front:v2", "--validation-time", "20")


def test_show_writes_each_format(capsys: pytest.CaptureFixture[str]) -> None:
    calls = Rehearsed(released())
    assert main(["show", "--output", "markdown"], calls=calls) == 0
    assert capsys.readouterr().out.startswith("## release r-1: released: green serves\n")
    assert main(["--output", "html", "show", "r-1"], calls=calls) == 0
    assert capsys.readouterr().out.startswith("<!doctype html>\n")
    assert main(["show", "--output", "json"], calls=calls) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["run", "report"]
    assert lines[1]["checklist"][1]["state"] == "not yet known"


@pytest.mark.parametrize(
    ("behaviour", "code", "ends"),
    [
        (Behaviour(), 0, "::notice title=bluegreen::released: green serves"),
        (Behaviour(no_metrics=True), 0, "::warning title=bluegreen::released, not proven: green serves"),
        (Behaviour(errors=0.1), 3, "::error title=bluegreen::rolled back: blue serves"),
        (Behaviour(never_ready=True), 1, "::error title=bluegreen::failed before the switch: blue serves"),
    ],
)
def test_a_job_gets_annotations_and_the_report(
    job: Path, capsys: pytest.CaptureFixture[str], behaviour: Behaviour, code: int, ends: str
) -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = behaviour
    assert main([*DEPLOY], calls=Rehearsed(rehearsal)) == code

    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("::")]
    assert told[-1].startswith(ends)
    assert job.read_text().startswith(f"## release r-1: {rehearsal.last_run().outcome}")


def test_every_command_of_a_step_adds_to_its_summary(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rehearsal = Rehearsal()
    calls = Rehearsed(rehearsal)
    main([*DEPLOY], calls=calls)
    main(["verify"], calls=calls)
    main(["rollback"], calls=calls)
    headings = [line for line in job.read_text().splitlines() if line.startswith("## ")]
    assert [heading.split()[1] for heading in headings] == ["release", "release", "rollback"]
    assert "| error rate &#60; 1 % for 5 minutes after the switch | met |" in job.read_text()


def test_the_standard_output_of_a_job_is_what_was_asked_for(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*DEPLOY, "--output", "json"], calls=Rehearsed(Rehearsal())) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["event"] for line in lines][-2:] == ["checklist", "summary"]


def test_a_refused_command_is_an_annotation(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls = Rehearsed(Rehearsal())
    calls.raises = HeldBy("another run holds the lock", holder="x", mend="wait for it, or bluegreen rollback")
    assert main([*DEPLOY], calls=calls) == 4
    err = capsys.readouterr().err.splitlines()
    assert err[0] == "::error title=bluegreen::another run holds the lock; wait for it, or bluegreen rollback"
    assert not job.exists() or job.read_text() == ""


def test_a_summary_that_cannot_be_written_changes_nothing(
    job: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    os.environ["GITHUB_STEP_SUMMARY"] = str(tmp_path / "no" / "folder" / "here")
    assert main([*DEPLOY], calls=Rehearsed(Rehearsal())) == 0
    assert "warning: the step summary was not written" in capsys.readouterr().err
    os.environ["GITHUB_STEP_SUMMARY"] = str(job)
    calls = Rehearsed(Rehearsal())
    calls.no_journal = True
    assert main([*DEPLOY], calls=calls) == 0
    assert "warning: the step summary was not written: the journal cannot be read" in capsys.readouterr().err


def test_a_summary_never_grows_larger_than_the_runner_takes(job: Path) -> None:
    """Of one that is too large the runner shows nothing, not even what the job's other commands have written."""
    others = 1024 * 1024 - 1000
    job.write_bytes(b"x" * others)
    assert main([*DEPLOY], calls=Rehearsed(Rehearsal())) == 0
    added = job.read_text()[others:]
    assert added == "\nThe report of r-1 does not fit here: bluegreen show r-1 --output markdown writes it.\n"
    job.write_bytes(b"x" * 1024 * 1024)
    assert main([*DEPLOY], calls=Rehearsed(Rehearsal())) == 0
    assert job.stat().st_size == 1024 * 1024


def test_outside_of_a_job_nothing_of_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*DEPLOY], calls=Rehearsed(Rehearsal())) == 0
    assert "::" not in capsys.readouterr().err


def test_a_command_of_the_runner_is_one_line_without_secrets() -> None:
    assert command("error", "100% of\nit\r") == "::error title=bluegreen::100%25 of it\\r"
    assert "hunter2" not in command("error", "password=hunter2 is wrong")
    assert len(command("warning", "x" * 5000)) < LONGEST + 50
    assert MOST < 10
