"""Images that cannot be had. Only "there is none" is certain; a registry that has trouble is given time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bluegreen.domain.health import graces
from bluegreen.domain.health.hiccups import CREDENTIALS, is_hiccup
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

WRONG_PLATFORM = re.compile(
    r"no match for platform|no matching manifest for|does not match the specified platform"
    r"|no image found in (?:manifest list|image index) for architecture|image architecture mismatch"
    r"|cannot be used on this platform",
    re.IGNORECASE,
)
"""What registries and runtimes say of an image that is there, but for other machines. Some add "not found"."""

_REFUSED = re.compile(
    r"denied|unauthorized|forbidden|authorization failed|authentication required|no basic auth credentials",
    re.IGNORECASE,
)
_NONE_THERE = re.compile(r"not found|manifest unknown|name unknown", re.IGNORECASE)
_SHORT_NAME = re.compile(r"short name mode is enforcing|did not resolve to an alias")
"""What a node says that must be told the registry as well."""


def pull(suspect: Suspect) -> Suspicion | None:
    """An image that is not there, is for other machines, or cannot be pulled for long."""
    state = suspect.container.state
    if not isinstance(state, Waiting):
        return None
    if state.reason in CERTAIN:
        return suspect.now(CERTAIN[state.reason], word=state.reason, detail=state.message)
    if state.reason not in PULL_WORDS:
        return None
    if _SHORT_NAME.search(state.message):
        return suspect.now(Reason.IMAGE_NAME, word=state.reason, detail=state.message)
    if _speaks_of_the_image(state) and not is_hiccup(state.message):
        reason = Reason.WRONG_ARCHITECTURE if WRONG_PLATFORM.search(state.message) else Reason.IMAGE_NOT_FOUND
        return suspect.now(reason, word=state.reason, detail=state.message)
    refused = _REFUSED.search(state.message) and not is_hiccup(state.message, besides=CREDENTIALS)
    grace = graces.PULL_REFUSED if refused else graces.PULL
    return suspect.later(Reason.PULL_FAILS, grace=grace, word=state.reason, detail=state.message)


def _speaks_of_the_image(state: Waiting) -> bool:
    """Whether it is the registry's own word that there is none. A pause alone says nothing of its cause."""
    if state.reason != "ErrImagePull" and "ErrImagePull: " not in state.message:
        return False
    return bool(_NONE_THERE.search(state.message) or WRONG_PLATFORM.search(state.message))
