"""Images that cannot be had. Only "there is none" is certain; a registry that has trouble is given time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bluegreen.domain.health import graces
from bluegreen.domain.health.hiccups import is_hiccup
from bluegreen.domain.health.reasons import Reason
from bluegreen.domain.snapshot import Waiting
from bluegreen.domain.words import PULL_WORDS

if TYPE_CHECKING:
    from bluegreen.domain.health.suspicion import Suspect, Suspicion

CERTAIN = {
    "InvalidImageName": Reason.IMAGE_NAME,
    "ErrImageNeverPull": Reason.IMAGE_NOT_ON_NODE,
    "SignatureValidationFailed": Reason.IMAGE_UNTRUSTED,
}
"""Words whose next try cannot end differently."""

WRONG_PLATFORM = re.compile(r"no match for platform|no matching manifest for|does not match the specified platform")
"""What registries and runtimes say of an image that is there, but for other machines. Some add "not found"."""

_REFUSED = re.compile(r"denied|unauthorized|forbidden|authorization failed|authentication required", re.IGNORECASE)
_NONE_THERE = re.compile(r"not found|manifest unknown", re.IGNORECASE)
_BACK_OFF_WITH_ITS_CAUSE = re.compile(
    r"ErrImagePull: .*(?:not found|manifest unknown|no match for platform)", re.DOTALL
)


def pull(suspect: Suspect) -> Suspicion | None:
    """An image that is not there, is for other machines, or cannot be pulled for long."""
    state = suspect.container.state
    if not isinstance(state, Waiting):
        return None
    if state.reason in CERTAIN:
        return suspect.now(CERTAIN[state.reason], word=state.reason, detail=state.message)
    if state.reason not in PULL_WORDS:
        return None
    if _speaks_of_the_image(state) and not is_hiccup(state.message):
        reason = Reason.WRONG_ARCHITECTURE if WRONG_PLATFORM.search(state.message) else Reason.IMAGE_NOT_FOUND
        return suspect.now(reason, word=state.reason, detail=state.message)
    grace = graces.PULL_REFUSED if _REFUSED.search(state.message) and not is_hiccup(state.message) else graces.PULL
    return suspect.later(Reason.PULL_FAILS, grace=grace, word=state.reason, detail=state.message)


def _speaks_of_the_image(state: Waiting) -> bool:
    """Whether it is the registry's own word that there is none. A pause alone says nothing of its cause."""
    if state.reason == "ErrImagePull":
        return bool(_NONE_THERE.search(state.message) or WRONG_PLATFORM.search(state.message))
    return _BACK_OFF_WITH_ITS_CAUSE.search(state.message) is not None
