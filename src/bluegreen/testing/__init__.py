"""Fakes for time and faults, shipped so that users of the ports can test against them too.

They hold to the same contract suite as the real platform (tests/contract). What they add is virtual time, and faults at
exact moments that no real platform would repeat.
"""

from bluegreen.testing.behaviour import Behaviour
from bluegreen.testing.clock import FakeClock
from bluegreen.testing.commands import Ending, FakeCommands
from bluegreen.testing.platform import FakePlatform, Fault
from bluegreen.testing.prometheus import FakePrometheus
from bluegreen.testing.rehearsal import Rehearsal, example_stack
from bluegreen.testing.store import FakeJournal, FakeLock, LockState

__all__ = [
    "Behaviour",
    "Ending",
    "FakeClock",
    "FakeCommands",
    "FakeJournal",
    "FakeLock",
    "FakePlatform",
    "FakePrometheus",
    "Fault",
    "LockState",
    "Rehearsal",
    "example_stack",
]
