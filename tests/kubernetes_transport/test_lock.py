"""The lock between two requests: who is faster, whose answer is lost, who is silent. In virtual time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from tests.kubernetes_transport.kit import RecordingClock, wait_until
from tests.kubernetes_transport.objects import Served, served
from tests.kubernetes_transport.server import refuse, reset

from bluegreen.domain.errors import ExitCode, HeldBy, Interrupted, LostLock, PlatformError
from bluegreen.domain.release import RunKind
from bluegreen.domain.stack import after
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.errors import MissingRight, Unreachable
from bluegreen.platforms.kubernetes.lease import Hold, read, renew
from bluegreen.platforms.kubernetes.lock import FRESH, KubernetesLock, check, lost
from bluegreen.platforms.kubernetes.renewal import Renewal
from bluegreen.platforms.kubernetes.resources import LEASES
from bluegreen.ports import Grip, Purpose
from bluegreen.testing import example_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kubernetes_transport.server import Conversation

STACK = example_stack()
SPACE = "alfred"
LEASE = LEASES.one(SPACE, "bluegreen-pair")
OURS = Purpose(kind=RunKind.RELEASE, run="r-1", who="ann on ci-7, pid 4711")
THEIRS = Purpose(kind=RunKind.RELEASE, run="r-2", who="bob")
ROLLBACK = Purpose(kind=RunKind.ROLLBACK, run="b-3", who="carol")


class Stage(Served):
    """Processes that want the lock."""

    def lock(self) -> KubernetesLock:
        made = KubernetesLock(self.cluster, stack=STACK, namespace=SPACE, clock=self.clock, api=self.api())
        self.closed_at_the_end.append(made)
        return made

    def spec(self) -> dict[str, object]:
        return dict(self.objects.by_path[LEASE]["spec"])

    def write(self, **spec: object) -> None:
        """Somebody else writes the Lease."""
        self.objects.patch(LEASE, {"metadata": {"name": "bluegreen-pair"}, "spec": spec})


@pytest.fixture
def stage(clock: RecordingClock) -> Iterator[Stage]:
    with served(Stage, clock) as made:
        yield made


CREATED_OR_PATCHED = pytest.mark.parametrize("before", ["", "a Lease"], ids=["created", "patched"])


# --- taking a turn ----------------------------------------------------------------------------------------------


def test_the_lease_says_whose_it_is_to_people_and_to_programs(stage: Stage) -> None:
    lock = stage.lock()
    grip = lock.take(OURS, until=stage.now)
    found = stage.objects.by_path[LEASE]
    assert found["metadata"]["labels"] == {
        "bluegreen.dev/stack": "pair",
        "app.kubernetes.io/managed-by": "bluegreen",
    }
    assert found["metadata"]["annotations"] == {
        names.HOLDER: "release r-1 by ann on ci-7, pid 4711",
        names.RELEASE: "r-1",
    }
    assert found["spec"]["holderIdentity"] == grip.fence
    assert found["spec"]["leaseDurationSeconds"] == 15
    assert found["spec"]["renewTime"].endswith("Z")
    lock.release(grip)
    assert "holderIdentity" not in stage.spec()


def test_an_interrupt_that_nobody_has_heard_yet_does_not_keep_the_lock(stage: Stage, clock: RecordingClock) -> None:
    """A second Ctrl-C while the end was recorded: without the lock given back the next deploy waits for 15 s."""
    lock = stage.lock()
    grip = lock.take(OURS, until=stage.now)
    clock.interrupt()
    lock.release(grip)
    assert "holderIdentity" not in stage.spec()


def test_taking_and_giving_back_costs_two_requests_and_one(stage: Stage) -> None:
    lock, grips = stage.lock(), list[Grip]()
    for write in ("POST", "PATCH"):
        assert stage.asked(lambda: grips.append(lock.take(OURS, until=stage.now))) == ["GET", write]
        assert stage.asked(lambda: lock.release(grips.pop())) == ["PATCH"]


@CREATED_OR_PATCHED
def test_of_two_at_the_same_instant_one_gets_it_and_the_other_is_told_by_whom(stage: Stage, before: str) -> None:
    mine, other = stage.lock(), stage.lock()
    if before:
        other.release(other.take(THEIRS, until=stage.now))
    stage.first(stage.objects.answer, stage.objects.after(lambda: stage.write(holderIdentity="r-2/x", renewTime="now")))
    with pytest.raises(HeldBy) as refused:
        mine.take(OURS, until=stage.now)
    assert stage.spec()["holderIdentity"] == "r-2/x"
    assert refused.value.holder in {"r-2/x", "release r-2 by bob"}
    assert refused.value.mend


def test_a_lease_that_is_removed_between_two_requests_is_made_anew(stage: Stage) -> None:
    lock = stage.lock()
    lock.release(lock.take(THEIRS, until=stage.now))
    stage.first(stage.objects.answer, stage.objects.after(lambda: stage.objects.remove(LEASE)))
    grip = lock.take(OURS, until=stage.now)
    assert stage.spec()["holderIdentity"] == grip.fence


@CREATED_OR_PATCHED
def test_a_write_whose_answer_is_lost_is_found_to_be_ours(stage: Stage, before: str) -> None:
    lock = stage.lock()
    if before:
        lock.release(lock.take(THEIRS, until=stage.now))
    stage.first(stage.objects.answer, stage.objects.lose)
    grip = lock.take(OURS, until=stage.now)
    assert stage.spec()["holderIdentity"] == grip.fence
    lock.release(grip)
    assert "holderIdentity" not in stage.spec()


def test_a_write_that_the_server_never_answers_is_taken_back(stage: Stage, clock: RecordingClock) -> None:
    """Interrupted while it waits for the answer: nobody has to wait for the lock of a run that never was."""

    def lose_and_interrupt(conversation: Conversation) -> None:
        stage.objects.lose(conversation)
        clock.interrupt()

    stage.first(stage.objects.answer, lose_and_interrupt)
    with pytest.raises(Interrupted):
        stage.lock().take(OURS, until=stage.now)
    assert "holderIdentity" not in stage.spec()


def test_a_missing_right_is_told_once_with_the_mend(stage: Stage) -> None:
    message = 'leases is forbidden: User "ann" cannot get resource "leases" in API group "coordination.k8s.io"'
    stage.first(refuse(403, "Forbidden", message))
    with pytest.raises(MissingRight) as refused:
        stage.lock().take(OURS, until=stage.now)
    assert str(refused.value) == "the account may not get leases.coordination.k8s.io in namespace alfred (403)"
    assert refused.value.mend.endswith("kubectl auth can-i get leases.coordination.k8s.io/bluegreen-pair -n alfred")
    assert len(stage.server.heard) == 1


def test_a_namespace_that_is_not_there_is_told(stage: Stage) -> None:
    stage.first(stage.objects.answer, refuse(404, "NotFound", 'namespaces "alfred" not found'))
    with pytest.raises(PlatformError, match="there is no namespace alfred") as refused:
        stage.lock().take(OURS, until=stage.now)
    assert "--namespace" in refused.value.mend


def test_a_server_that_hangs_is_out_of_reach_and_no_limit_of_the_release(stage: Stage) -> None:
    stage.first(stage.hang)
    with pytest.raises(Unreachable) as told:
        stage.lock().take(OURS, until=stage.now)
    assert told.value.exit_code is ExitCode.UNREACHABLE
    assert told.value.mend


# --- silence ----------------------------------------------------------------------------------------------------


def asked_each_second(stage: Stage, lock: KubernetesLock, *, seconds: int) -> tuple[float, HeldBy | None]:
    """As a release asks: when it ended, and with what; None: it was taken."""
    for _ in range(seconds):
        try:
            lock.take(OURS, until=stage.now)
        except HeldBy as held:
            if held.alive:
                return stage.now, held
        else:
            return stage.now, None
        stage.clock.wait(until=after(stage.now, 1.0))
    raise AssertionError(f"neither after {seconds} s")


def test_a_holder_that_was_never_seen_to_move_may_be_dead(stage: Stage) -> None:
    stage.write(holderIdentity="r-2/x", leaseDurationSeconds=15)
    with pytest.raises(HeldBy) as refused:
        stage.lock().take(OURS, until=stage.now)
    assert not refused.value.alive


def test_what_has_stood_still_for_as_long_as_it_lasts_is_free(stage: Stage) -> None:
    stage.write(holderIdentity="r-2/x", leaseDurationSeconds=15)
    assert asked_each_second(stage, stage.lock(), seconds=20) == (15.0, None)


def test_one_waiting_call_takes_it_as_well(stage: Stage) -> None:
    stage.write(holderIdentity="r-2/x", leaseDurationSeconds=15)
    lock = stage.lock()
    lock.release(lock.take(OURS, until=after(stage.now, 60.0)))
    assert stage.now == 15.0


@pytest.mark.parametrize("clock_of_holder", ["2001-01-01T00:00:00.000000Z", "2100-01-01T00:00:00.000000Z"])
def test_the_holders_clock_counts_for_nothing(stage: Stage, clock_of_holder: str) -> None:
    stage.write(holderIdentity="r-2/x", leaseDurationSeconds=15, renewTime=clock_of_holder)
    assert asked_each_second(stage, stage.lock(), seconds=20) == (15.0, None)


def test_a_renewal_shows_that_the_holder_lives(stage: Stage) -> None:
    stage.write(holderIdentity="r-2/x", leaseDurationSeconds=15)
    stage.clock.at(4.5, lambda: stage.write(renewTime="later"))
    when, held = asked_each_second(stage, stage.lock(), seconds=20)
    assert when == 5.0
    assert held is not None


def test_a_renewal_in_the_last_moment_keeps_the_lock(stage: Stage) -> None:
    """It is found dead, and lives: the swap is refused, and it is judged again."""
    stage.write(holderIdentity="r-2/x", leaseDurationSeconds=15)
    lock = stage.lock()
    stage.clock.at(
        15.0, lambda: stage.first(stage.objects.answer, stage.objects.after(lambda: stage.write(renewTime="x")))
    )
    when, held = asked_each_second(stage, lock, seconds=20)
    assert when == 15.0
    assert held is not None
    assert stage.spec()["holderIdentity"] == "r-2/x"


def test_time_in_which_we_could_not_look_does_not_count(stage: Stage) -> None:
    """The API server was away: the holder could not renew."""
    stage.write(holderIdentity="r-2/x", leaseDurationSeconds=15)
    lock = stage.lock()
    stage.clock.at(10.0, lambda: stage.clock.skip(8))
    when, held = asked_each_second(stage, lock, seconds=60)
    assert when == 33.0
    assert held is None


def test_a_read_that_failed_begins_the_count_anew(stage: Stage) -> None:
    stage.write(holderIdentity="r-2/x", leaseDurationSeconds=15)
    lock = stage.lock()
    with pytest.raises(HeldBy):
        lock.take(OURS, until=stage.now)
    stage.first(refuse(403, "Forbidden", "no"))
    with pytest.raises(PlatformError):
        lock.take(OURS, until=stage.now)
    stage.clock.wait(until=after(stage.now, 1.0))
    before = stage.now
    assert asked_each_second(stage, lock, seconds=20) == (before + 15.0, None)


# --- taking over ------------------------------------------------------------------------------------------------


def test_a_rollback_takes_over_with_one_request_and_gives_back_with_one(stage: Stage) -> None:
    first, second = stage.lock(), stage.lock()
    held = first.take(OURS, until=stage.now)
    grips: list[Grip] = []
    assert stage.asked(lambda: grips.append(second.preempt(ROLLBACK))) == ["PATCH"]
    assert stage.asked(lambda: second.release(grips[0])) == ["PATCH"]
    assert stage.clock.waits == []
    assert stage.asked(lambda: first.release(held)) == ["PATCH", "GET"]
    assert stage.objects.by_path[LEASE]["metadata"]["annotations"][names.HOLDER] == "rollback b-3 by carol"


def test_a_rollback_makes_the_lease_where_there_is_none(stage: Stage) -> None:
    lock = stage.lock()
    assert stage.asked(lambda: lock.preempt(ROLLBACK)) == ["PATCH", "POST"]


def test_a_rollback_that_makes_it_at_the_same_instant_as_a_release_wins(stage: Stage) -> None:
    lock = stage.lock()
    stage.first(stage.objects.answer, stage.objects.after(lambda: stage.write(holderIdentity="r-2/x")))
    grip = lock.preempt(ROLLBACK)
    assert stage.spec()["holderIdentity"] == grip.fence


def test_a_rollbacks_write_whose_answer_is_lost_is_read_back(stage: Stage) -> None:
    first, second = stage.lock(), stage.lock()
    first.take(OURS, until=stage.now)
    stage.first(stage.objects.lose)
    grips: list[Grip] = []
    assert stage.asked(lambda: grips.append(second.preempt(ROLLBACK))) == ["PATCH", "GET"]
    assert stage.spec()["holderIdentity"] == grips[0].fence


def test_a_rollbacks_write_that_never_arrived_is_made_again(stage: Stage) -> None:
    first, second = stage.lock(), stage.lock()
    first.take(OURS, until=stage.now)
    stage.first(reset)
    grip = second.preempt(ROLLBACK)
    assert stage.spec()["holderIdentity"] == grip.fence


def test_a_run_that_lost_the_lock_learns_to_whom_even_when_that_one_has_ended(stage: Stage) -> None:
    first, second = stage.lock(), stage.lock()
    mine = first.take(OURS, until=stage.now)
    theirs = second.preempt(ROLLBACK)
    for _ in ("while it works", "afterwards"):
        with pytest.raises(LostLock, match=r"^rollback b-3 by carol took over from r-1$") as told:
            check(stage.api(), mine, stack=STACK, namespace=SPACE, until=after(stage.now, 5))
        assert told.value.taken_by == "rollback b-3 by carol"
        assert told.value.mend
        second.release(theirs)


def test_a_run_that_has_the_lock_has_it(stage: Stage) -> None:
    grip = stage.lock().take(OURS, until=stage.now)
    check(stage.api(), grip, stack=STACK, namespace=SPACE, until=after(stage.now, 5))


def test_a_lease_that_a_person_touched_is_told_as_that(stage: Stage) -> None:
    grip = stage.lock().take(OURS, until=stage.now)
    api = stage.api()
    stage.write(holderIdentity=None)
    touched = lost(read(api, LEASE, until=after(stage.now, 5)), grip)
    stage.objects.remove(LEASE)
    removed = lost(read(api, LEASE, until=after(stage.now, 5)), grip)
    assert touched is not None
    assert touched.taken_by == "somebody who took our name out of the Lease"
    assert removed is not None
    assert removed.taken_by == "somebody who removed the Lease"


def test_what_others_wrote_into_the_lease_stays_one_line(stage: Stage) -> None:
    stage.write(holderIdentity="x")
    stage.objects.patch(LEASE, {"metadata": {"annotations": {names.HOLDER: "a\x1b[2J\nb" + "c" * 1000}}})
    with pytest.raises(HeldBy) as refused:
        stage.lock().take(OURS, until=stage.now)
    assert refused.value.holder.isprintable()
    assert len(refused.value.holder) < 300


# --- giving back ------------------------------------------------------------------------------------------------


def test_giving_back_when_the_server_is_gone_ends_soon_and_quietly(stage: Stage) -> None:
    lock = stage.lock()
    grip = lock.take(OURS, until=stage.now)
    before = stage.now
    stage.first(*[reset] * 50)
    lock.release(grip)
    assert stage.now - before <= 2.0


def test_giving_back_when_somebody_has_annotated_the_lease(stage: Stage) -> None:
    lock = stage.lock()
    grip = lock.take(OURS, until=stage.now)
    stage.objects.patch(LEASE, {"metadata": {"annotations": {"note": "by a person"}}})
    lock.release(grip)
    assert "holderIdentity" not in stage.spec()


def test_giving_back_a_lease_that_was_removed_is_harmless(stage: Stage) -> None:
    lock = stage.lock()
    grip = lock.take(OURS, until=stage.now)
    stage.objects.remove(LEASE)
    lock.release(grip)
    assert LEASE not in stage.objects.by_path


def test_who_has_given_it_back_renews_nothing(stage: Stage) -> None:
    lock = stage.lock()
    for _ in range(3):
        lock.release(lock.take(OURS, until=stage.now))
    wait_until(lambda: not renewing(), what="the end of all renewals")
    lock.take(OURS, until=stage.now)
    assert len(renewing()) == 1
    lock.close()
    wait_until(lambda: not renewing(), what="the end of the last one")
    assert "holderIdentity" in stage.spec()


def renewing() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == f"renew {LEASE}"]


# --- renewing ---------------------------------------------------------------------------------------------------


def held(stage: Stage) -> Hold:
    stage.write(holderIdentity="r-1/x", renewTime="at first")
    return Hold(fence="r-1/x", version=str(stage.objects.version))


def renewed(stage: Stage, hold: Hold) -> bool:
    return renew(stage.api(), LEASE, hold, wall=stage.clock.wall(), until=after(stage.now, 4))


def test_a_renewal_is_one_request_that_changes_the_version(stage: Stage) -> None:
    hold = held(stage)
    before = hold.version
    assert stage.asked(lambda: renewed(stage, hold)) == ["PATCH"]
    assert hold.version != before
    assert stage.spec()["renewTime"] == "2025-06-15T15:06:40.000000Z"


def test_a_renewal_after_a_strangers_write_goes_on(stage: Stage) -> None:
    hold = held(stage)
    stage.objects.patch(LEASE, {"metadata": {"annotations": {"note": "by a person"}}})
    assert renewed(stage, hold)
    assert renewed(stage, hold)


def test_a_renewal_never_touches_anothers_lease(stage: Stage) -> None:
    hold = held(stage)
    stage.write(holderIdentity="b-3/y", renewTime="theirs")
    assert not renewed(stage, hold)
    assert stage.spec() == {"holderIdentity": "b-3/y", "renewTime": "theirs"}
    stage.objects.remove(LEASE)
    assert not renewed(stage, hold)
    assert LEASE not in stage.objects.by_path


def test_a_renewal_whose_answer_is_lost_still_holds(stage: Stage) -> None:
    hold = held(stage)
    stage.first(stage.objects.lose)
    assert renewed(stage, hold)
    assert hold.version == stage.objects.by_path[LEASE]["metadata"]["resourceVersion"]


def test_the_thread_renews_again_and_again_through_trouble_and_ends_when_the_lock_is_lost(stage: Stage) -> None:
    hold = held(stage)
    stage.first(stage.objects.answer, refuse(403, "Forbidden", "no"), stage.objects.answer)
    renewal = Renewal(stage.cluster, LEASE, hold, each=0.02, again=0.02)
    wait_until(lambda: len(stage.server.heard) >= 5, what="renewals beyond the trouble")
    stage.write(holderIdentity="b-3/y")
    assert renewal.join(timeout=10)
    assert stage.spec()["holderIdentity"] == "b-3/y"


def test_the_thread_ends_when_it_is_stopped_before_its_first_renewal_and_in_the_middle_of_one(stage: Stage) -> None:
    first = Renewal(stage.cluster, LEASE, held(stage))
    first.stop()
    assert first.join(timeout=10)
    assert stage.server.heard == []
    stage.server.script.clear()  # silence from here on
    second = Renewal(stage.cluster, LEASE, held(stage), each=0.01)
    wait_until(lambda: len(stage.server.heard) == 1, what="a renewal that is not answered")
    second.stop()
    assert second.join(timeout=10)


# --- right after it was taken over --------------------------------------------------------------------------------


def test_what_was_taken_over_a_moment_ago_is_known_once(stage: Stage) -> None:
    lock = stage.lock()
    grip = lock.preempt(ROLLBACK)
    assert lock.just_taken(grip)
    assert not lock.just_taken(grip)


def test_what_was_taken_over_long_ago_by_another_or_in_turn_is_not_known(stage: Stage, clock: RecordingClock) -> None:
    lock, other = stage.lock(), stage.lock()
    ours = lock.preempt(ROLLBACK)
    assert not other.just_taken(ours)
    clock.skip(FRESH)
    assert not lock.just_taken(ours)
    lock.release(ours)
    assert not lock.just_taken(lock.take(OURS, until=stage.now))
