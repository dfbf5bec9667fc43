"""What a release asks of the API server, from the server's own audit log: waiting costs next to nothing.

One renewal of the lock each five seconds, and in the window one reading of each pod each two seconds; nothing else
grows with the time that a release waits. The same release twice, once with a longer wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kubernetes.kit import deploy_words, fresh

if TYPE_CHECKING:
    from collections import Counter

    from cluster_harness import ClusterStack

pytestmark = [pytest.mark.cluster, pytest.mark.soak]

SHORT, LONG = 4, 24
"""Seconds."""
RENEWAL, READING = "patch leases", "get pods/proxy"
PODS = 8
"""Of both services in both slots: the old slot is watched for requests that come back to it."""
CHANCE = 6
"""Calls that a release may make more or less than another, by when things happen: a look again, a change seen twice."""


def calls_of(stack: ClusterStack, *words: str, code: int, fault: str = "") -> Counter[str]:
    tag = fresh(stack, fault=fault)
    before = len(stack.cluster.audited())
    stack.must(*deploy_words(tag, *words), code=code)
    return stack.calls("bluegreen", since=before)


def grown(short: Counter[str], long: Counter[str]) -> dict[str, int]:
    """What the longer wait costs more, beyond chance."""
    more = {name: long[name] - short[name] for name in {*short, *long}}
    print(f"short {dict(short)}\nlong {dict(long)}\nmore {more}")
    return {name: count for name, count in more.items() if count > CHANCE}


def test_a_longer_window_costs_renewals_and_readings(shared: ClusterStack) -> None:
    short = calls_of(shared, "--validation-time", str(SHORT), code=0)
    long = calls_of(shared, "--validation-time", str(LONG), code=0)
    waited = LONG - SHORT
    more = grown(short, long)
    assert set(more) <= {RENEWAL, READING}
    assert more.get(RENEWAL, 0) <= waited / 5 + CHANCE
    assert more.get(READING, 0) <= PODS * (waited / 2 + 3)


@pytest.mark.long
def test_a_longer_validation_costs_renewals_only(shared: ClusterStack) -> None:
    short = calls_of(shared, "--health-retries", "2", code=70, fault="never-ready")
    long = calls_of(shared, "--health-retries", "6", code=70, fault="never-ready")
    more = grown(short, long)
    assert set(more) <= {RENEWAL}
    assert more.get(RENEWAL, 0) <= (6 - 2) * 5 / 5 + CHANCE
