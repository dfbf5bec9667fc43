"""The plan of a release: what is carried over, what is refused, what is said."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.domain_kit import BLUE, GREEN, PAIR, image, pair, plan, service, spec, workload

from bluegreen.domain.errors import BluegreenError, Held, NotStarted, UsageError
from bluegreen.domain.plan import Options, Plan, SlotSpec, WorkloadSpec, make_plan
from bluegreen.domain.release import Began, Body, Ended, Entry, Outcome, Restored, Run, Staging, fold, put_back
from bluegreen.domain.snapshot import Snapshot, Template, Workload
from bluegreen.domain.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SETTINGS = Template(settings=(("environment.LOG", "debug"), ("probe", "/a")))


def planned(snapshot: Snapshot | None = None, *, options: Options | None = None, **tags: str) -> Plan:
    """Plan the release of ``service=tag``, by short names."""
    return planned_of(snapshot or pair(), tags, options=options)


def planned_of(snapshot: Snapshot, tags: Mapping[str, str], *, options: Options | None = None) -> Plan:
    images = {f"pair-{name}": image(f"team/pair-{name}:{tag}") for name, tag in tags.items()}
    return make_plan(snapshot, stack=PAIR, images=images, options=options or Options(), release="r-1")


def test_the_whole_plan_of_one_named_image() -> None:
    found = planned(back="v2")
    back, front = found.changes
    assert (found.active, found.target, found.stack, found.release) == (BLUE, GREEN, "pair", "r-1")
    assert (str(back.before), str(back.serving), str(back.after)) == (
        "team/pair-back:v0",
        "team/pair-back:v1",
        "team/pair-back:v2",
    )
    assert (back.carried, front.carried) == (False, True)
    assert (str(front.before), str(front.serving), str(front.after)) == (
        "team/pair-front:v0",
        "team/pair-front:v1",
        "team/pair-front:v1",
    )
    assert found.want == SlotSpec(
        slot=GREEN,
        revision="r-1",
        workloads=(
            WorkloadSpec(service="pair-back", image=image("team/pair-back:v2"), replicas=2, template=Template()),
            WorkloadSpec(service="pair-front", image=image("team/pair-front:v1"), replicas=2, template=Template()),
        ),
    )
    assert found.previous == spec(GREEN, revision="r-g", tag="v0")
    assert found.sizes == (("pair-back", 2), ("pair-front", 2))
    assert not found.nothing_to_do
    assert found.notes == (
        "pair-front in green is replaced too: the active slot's image is carried over",
        "green is replaced: what it holds now is no way back any more",
    )


def test_the_target_is_the_slot_that_does_not_serve() -> None:
    found = planned(pair(serving=(GREEN, GREEN)), back="v2")
    assert (found.active, found.target) == (GREEN, BLUE)
    assert str(found.want.workloads[1].image) == "team/pair-front:v0"


HALF = workload(service="pair-front", slot=BLUE, settled=False)
EMPTY = workload(service="pair-front", slot=BLUE, tag="", replicas=0)


@pytest.mark.parametrize(
    ("snapshot", "tags", "error", "words"),
    [
        (pair(), {}, UsageError, "no image was named"),
        (pair(serving=(BLUE, GREEN)), {"back": "v2"}, Held, "split: pair-back on blue, pair-front on green"),
        (pair(serving=(None, None)), {"back": "v2"}, Held, "split: pair-back on no slot"),
        (pair(replace=(HALF,)), {"back": "v2"}, Held, "pair-front in the active slot blue is in the middle"),
        (pair(replace=(EMPTY,)), {"back": "v2"}, Held, "pair-front in the active slot blue is in the middle"),
    ],
)
def test_refused(snapshot: Snapshot, tags: dict[str, str], error: type[BluegreenError], words: str) -> None:
    with pytest.raises(error) as caught:
        planned_of(snapshot, tags)
    assert words in str(caught.value)
    assert caught.value.mend


def test_a_named_image_needs_no_settled_one() -> None:
    assert planned(pair(replace=(HALF,)), back="v2", front="v2").target is GREEN


def test_a_stranger_is_refused_with_the_names() -> None:
    with pytest.raises(UsageError, match="no service 'pair-bakc'"):
        planned(bakc="v2")


@pytest.mark.parametrize(
    ("whole", "example"),
    [
        ("team/back", "--image back=team/back:v2"),
        ("r.io:5000/team/back", "--image back=r.io:5000/team/back:v2"),
        ("r.io:5000/team/back:v1", "--image back=r.io:5000/team/back:v2"),
    ],
)
def test_without_an_image_the_mend_is_a_command_that_works(whole: str, example: str) -> None:
    stack = Stack(name="pair", services=(service("pair-back", image=whole),))
    with pytest.raises(UsageError) as caught:
        make_plan(pair(), stack=stack, images={}, options=Options(), release="r-1")
    assert example in caught.value.mend


@pytest.mark.parametrize(
    ("snapshot", "options", "nothing"),
    [
        (pair(), Options(), True),
        (pair(), Options(force=True), False),
        (pair(replicas=3), Options(), False),
        (pair(template=SETTINGS), Options(), False),
    ],
)
def test_nothing_to_do_means_same_images_and_same_settings(
    snapshot: Snapshot, options: Options, nothing: object
) -> None:
    assert planned(snapshot, options=options, back="v1", front="v1").nothing_to_do is nothing
    assert planned(snapshot, options=options, back="v1").nothing_to_do is nothing
    assert not planned(snapshot, options=options, back="v2").nothing_to_do


def test_every_other_difference_is_said_a_line_each() -> None:
    found = planned(pair(template=SETTINGS, replicas=3), back="v2")
    assert found.changes[0].differences == (
        "replicas: 2 -> 3",
        "environment.LOG: (not set) -> debug",
        "probe: (not set) -> /a",
    )
    assert found.sizes == (("pair-back", 3), ("pair-front", 3))


def test_differences_go_from_here_to_there_and_are_sorted() -> None:
    here = Template(settings=(("z", "1"), ("a", "1"), ("same", "x")))
    there = Template(settings=(("same", "x"), ("z", "2"), ("b", "1")))
    assert here.differences(there) == ("a: 1 -> (not set)", "b: (not set) -> 1", "z: 1 -> 2")
    assert here.differences(here) == ()


EMPTY_GREEN = tuple(workload(service=name, slot=GREEN, tag="", replicas=0) for name in PAIR.names)
ENDED_GREEN = tuple(workload(service=name, slot=GREEN, tag="v0", replicas=0) for name in PAIR.names)


@pytest.mark.parametrize(
    ("snapshot", "options", "tags", "notes"),
    [
        (pair(replace=EMPTY_GREEN), Options(), {"back": "v2", "front": "v2"}, []),
        (pair(replace=ENDED_GREEN), Options(), {"back": "v2", "front": "v2"}, []),
        (pair(), Options(), {"back": "v2", "front": "v2"}, ["green is replaced: what it holds now"]),
        (
            pair(replace=EMPTY_GREEN),
            Options(),
            {"back": "latest", "front": "v2"},
            ["pair-back: the tag 'latest' may name other bits tomorrow"],
        ),
        (
            pair(replace=EMPTY_GREEN),
            Options(scale_down_old=True),
            {"back": "v2", "front": "v2"},
            ["blue is ended before the error rate of five minutes is known: the way back will be a cold start"],
        ),
        (pair(replace=EMPTY_GREEN), Options(), {"front": "v2"}, ["pair-back in green is replaced too"]),
    ],
)
def test_notes(snapshot: Snapshot, options: Options, tags: dict[str, str], notes: list[str]) -> None:
    found = planned_of(snapshot, tags, options=options).notes
    assert len(found) == len(notes)
    assert all(words in note for words, note in zip(notes, found, strict=True))


@pytest.mark.parametrize("held", [EMPTY_GREEN, ENDED_GREEN, EMPTY_GREEN[:1]])
def test_a_slot_that_holds_nothing_whole_is_not_put_back(held: tuple[Workload, ...]) -> None:
    assert planned(pair(replace=held), back="v2").previous is None


@pytest.mark.parametrize(("retries", "seconds"), [(30, 150.0), (1, 5.0), (0, 0.0)])
def test_a_health_retry_is_five_seconds(retries: int, seconds: float) -> None:
    assert Options(health_retries=retries).health_deadline == seconds


# What is put back when this release fails.


def run(name: str, outcome: Outcome | None, *, previous: SlotSpec | None) -> Run:
    """A run that staged green over ``previous``."""
    bodies: list[Body] = [Began(plan=replace(plan(name), previous=previous), who="ann"), Staging(slot=GREEN)]
    if outcome is not None:
        bodies.append(Ended(outcome=outcome))
    found = fold(Entry(run=name, at=0.0, body=body) for body in bodies)
    assert found is not None
    return found


def among(runs: Sequence[Run]) -> Callable[[str], Run | None]:
    """Finds one of these runs by its id."""
    return {found.id: found for found in runs}.get


GOOD = spec(revision="day-0", tag="v0")
LEFT_1 = spec(revision="r-8", tag="bad-1")
LEFT_2 = spec(revision="r-9", tag="bad-2")
BAD = [
    None,
    Outcome.FAILED,
    Outcome.TIMED_OUT,
    Outcome.ROLLED_BACK,
    Outcome.INTERRUPTED,
    Outcome.ABANDONED,
    Outcome.YIELDED,
]


@pytest.mark.parametrize("outcome", BAD)
def test_what_a_bad_run_left_is_replaced_by_what_it_would_have_put_back(outcome: Outcome | None) -> None:
    now = replace(plan("r-10"), previous=LEFT_2)
    assert put_back(now, among([run("r-9", outcome, previous=GOOD)]), ()).previous == GOOD
    chain = [run("r-9", outcome, previous=LEFT_1), run("r-8", outcome, previous=GOOD)]
    assert put_back(now, among(chain), ()).previous == GOOD
    assert put_back(now, among([run("r-9", outcome, previous=None)]), ()).previous is None


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - set(BAD)))
def test_what_a_good_run_left_is_put_back(outcome: Outcome) -> None:
    now = replace(plan("r-10"), previous=LEFT_2)
    assert put_back(now, among([run("r-9", outcome, previous=GOOD)]), ()).previous == LEFT_2


def test_content_of_a_run_that_is_forgotten_is_put_back_and_nothing_stays_nothing() -> None:
    now = replace(plan("r-10"), previous=LEFT_2)
    assert put_back(now, among([]), ()) == now
    assert (
        put_back(replace(now, previous=None), among([run("r-9", Outcome.FAILED, previous=GOOD)]), ()).previous is None
    )


@pytest.mark.parametrize(
    ("bodies", "previous"),
    [
        ((), GOOD),
        ((Restored(slot=GREEN),), None),  # it was put in order, and emptied since
        ((Ended(outcome=Outcome.ABANDONED),), GOOD),
        ((Ended(outcome=Outcome.RELEASED),), None),
    ],
)
def test_an_empty_slot_gets_what_the_run_found_that_was_stopped_while_it_staged(
    bodies: tuple[Body, ...], previous: SlotSpec | None
) -> None:
    now = replace(plan("r-10"), previous=None)
    left = fold([*run("r-9", None, previous=GOOD).entries, *(Entry(run="r-9", at=0.0, body=each) for each in bodies)])
    assert left is not None
    assert put_back(now, among([left]), [left]).previous == previous
    retired = replace(left, plan=replace(plan("r-9"), active=GREEN, target=BLUE), retired=True)
    assert put_back(now, among([retired]), [retired, left]).previous is None


def test_a_stack_of_which_nothing_runs_is_to_be_started_first() -> None:
    empty = tuple(replace(work, image=None, replicas=0) for work in pair().workloads)
    with pytest.raises(NotStarted) as caught:
        planned(replace(pair(), workloads=empty), back="v2")
    assert "up" in caught.value.mend
