"""A watch that has worked is refused: borne with for a moment, and no longer."""

from __future__ import annotations

from contextlib import closing
from math import inf

import pytest
from tests.kubernetes_transport.kit import cluster_at
from tests.kubernetes_transport.server import ScriptedServer, refuse

from bluegreen.clock import SystemClock
from bluegreen.domain.errors import PlatformError, Unseen
from bluegreen.domain.stack import Instant, after
from bluegreen.platforms.kubernetes.looking import Bearing, Sight, Watching
from bluegreen.platforms.kubernetes.transport import Api
from bluegreen.wiring.built_in import alfred

TROUBLE = PlatformError("the account may not watch pods (403)")


def test_without_trouble_there_is_no_end() -> None:
    assert Bearing().until(None, now=Instant(7.0)) == inf


def test_a_refusal_is_borne_with_from_its_first_sight_and_raised_at_the_end() -> None:
    bearing = Bearing()
    assert bearing.until(TROUBLE, now=Instant(0.0)) == 5.0
    assert bearing.until(TROUBLE, now=Instant(4.9)) == 5.0
    with pytest.raises(PlatformError, match="may not watch pods"):
        bearing.until(TROUBLE, now=Instant(5.0))


def test_one_that_passes_and_comes_again_is_a_new_one() -> None:
    bearing = Bearing()
    bearing.until(TROUBLE, now=Instant(0.0))
    bearing.until(None, now=Instant(3.0))
    assert bearing.until(TROUBLE, now=Instant(4.0)) == 9.0


def test_the_limit_of_a_watch_that_is_broken_says_so() -> None:
    clock = SystemClock()
    with ScriptedServer(*[refuse(400, "BadRequest", "not today")] * 100) as server:
        cluster = cluster_at(server.port)
        with Api(cluster, clock=clock) as api:
            sight = Sight(api, stack=alfred(), namespace="alfred")
            watching = Watching(cluster, stack=alfred(), namespace="alfred", clock=clock, sight=sight)
            with closing(watching), pytest.raises(Unseen, match="the cluster could not be watched"):
                watching.live(until=after(clock.now(), 4.0))  # sooner than its trouble is borne
