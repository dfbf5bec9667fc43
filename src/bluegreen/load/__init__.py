"""The witness: a load generator that accounts for every request exactly once.

It imports nothing else of ``bluegreen``, so that what it says of a release does not depend on what released it.
As a library: make a ``LoadPlan``, call ``run``, read ``LoadResult``. As a command: ``python -m bluegreen.load``.
"""

from __future__ import annotations

from bluegreen.load.classify import Column, CrashWindow, classify
from bluegreen.load.engine import Progress, Stop, run, run_async
from bluegreen.load.plan import Kind, KindPlan, LoadPlan, PlanError
from bluegreen.load.record import Break, Cause, Record
from bluegreen.load.report import SCHEMA, to_text
from bluegreen.load.result import LoadResult

__all__ = [
    "SCHEMA",
    "Break",
    "Cause",
    "Column",
    "CrashWindow",
    "Kind",
    "KindPlan",
    "LoadPlan",
    "LoadResult",
    "PlanError",
    "Progress",
    "Record",
    "Stop",
    "classify",
    "run",
    "run_async",
    "to_text",
]
