"""Containers that cannot be made or started: what they are configured with, and what they are to run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bluegreen.domain.health import graces
from bluegreen.domain.health.hiccups import CACHE_RACE, NODE_FAULT_EXIT_CODE, is_hiccup
from bluegreen.domain.health.reasons import Reason
from bluegreen.domain.snapshot import Terminated, Waiting

if TYPE_CHECKING:
    from bluegreen.domain.health.suspicion import Suspect, Suspicion

FOREIGN_BINARY = re.compile(r"exec format error", re.IGNORECASE)
"""What a kernel says of a program for other processors."""

_MISSING = re.compile(r"not found|couldn't find key|references non-existent", re.IGNORECASE)
_ROOT = re.compile(r"runAsNonRoot|non-root policy", re.IGNORECASE)
_NO_PROGRAM = re.compile(
    r"exec format error|executable file \S+ not found|executable file not found|open executable: permission denied"
    r"|exec:? [\"'`/].*(?:no such file or directory|permission denied|is a directory)"
    r"|chdir to cwd .*(?:no such file or directory|permission denied)|no command specified",
    re.IGNORECASE | re.DOTALL,
)
"""What makes it certain that the next start ends no better. Files of the node and of volumes may be there then."""

REFUSED_STARTS = frozenset({"ContainerCannotRun", "StartError", "RunContainerError"})
"""How runtimes call an end that came before the program."""


def configuration(suspect: Suspect) -> Suspicion | None:
    """A container whose settings cannot be carried out."""
    state = suspect.container.state
    if not isinstance(state, Waiting) or state.reason != "CreateContainerConfigError" or CACHE_RACE.fits(state.message):
        return None
    reason = _why_not_configured(state.message)
    if is_hiccup(state.message):
        return suspect.later(reason, grace=graces.SETUP, word=state.reason, detail=state.message)
    return suspect.now(reason, word=state.reason, detail=state.message)


def _why_not_configured(message: str) -> Reason:
    if _ROOT.search(message):
        return Reason.RUNS_AS_ROOT
    return Reason.CONFIG_MISSING if _MISSING.search(message) else Reason.CONFIG_INVALID


def creation(suspect: Suspect) -> Suspicion | None:
    """A container that the runtime does not get made. Its message may name the program; else it is given time."""
    state = suspect.container.state
    if not isinstance(state, Waiting) or state.reason != "CreateContainerError":
        return None
    if _NO_PROGRAM.search(state.message) and not is_hiccup(state.message):
        return suspect.now(_why_not_run(state.message), word=state.reason, detail=state.message)
    return suspect.later(Reason.CANNOT_CREATE, grace=graces.SETUP, word=state.reason, detail=state.message)


def program(suspect: Suspect) -> Suspicion | None:
    """A program that cannot be started, by the runtime's own word, at this try or at the last one."""
    state = suspect.container.state
    if isinstance(state, Waiting) and _cannot_run(state.reason, state.message, exit_code=None):
        return suspect.now(_why_not_run(state.message), word=state.reason, detail=state.message)
    for end in (state, suspect.container.last):
        if isinstance(end, Terminated) and _cannot_run(end.reason, end.message, exit_code=end.exit_code):
            why = _why_not_run(end.message)
            return suspect.now(why, word=end.reason, detail=end.message, exit_code=end.exit_code)
    return None


def _cannot_run(word: str, message: str, *, exit_code: int | None) -> bool:
    """ContainerCannotRun is certain but for the code of a node's fault; the others only when the message is."""
    if word not in REFUSED_STARTS:
        return False
    if _NO_PROGRAM.search(message) and not is_hiccup(message):
        return True
    return word == "ContainerCannotRun" and exit_code != NODE_FAULT_EXIT_CODE


def _why_not_run(message: str) -> Reason:
    return Reason.WRONG_ARCHITECTURE if FOREIGN_BINARY.search(message) else Reason.CANNOT_RUN
