"""What is known of one replica's process, by supervisord's log and by its answers."""

from __future__ import annotations

import pytest

from bluegreen.domain.stack import Instant, Service, Slot
from bluegreen.platforms.local.life import Life
from bluegreen.platforms.local.store import Replica

WEB = Replica(program="web-green-0", service="web", slot=Slot.GREEN, port=8000, revision="r-1", life="a")


@pytest.mark.parametrize(
    ("known", "since", "answered", "differs"),
    [
        (0, 0, 7, True),  # it was started
        (7, 7, 0, True),  # it ended
        (7, 7, 9, True),  # it was started anew
        (7, 7, 7, False),
        (0, 0, 0, False),
        (9, 7, 0, False),  # asked while 7 had just ended; the log has told since that it did, and that 9 was started
        (9, 7, 7, False),  # asked while 7 still ran
        (0, 7, 7, False),
    ],
)
def test_an_answer_counts_only_while_it_is_the_newest_news(
    known: int, since: int, answered: int, *, differs: bool
) -> None:
    life = Life(replica=WEB, service=Service(name="web", image="web", port=8000))
    if known:
        life.begin(known, now=Instant(0.0))
    assert life.differs(answered, since=since) is differs
