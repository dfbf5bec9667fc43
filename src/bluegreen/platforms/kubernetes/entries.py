"""A journal's entry as the text under a key of a ConfigMap, of a size that etcd takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bluegreen.domain.codec import from_plain, to_plain
from bluegreen.domain.errors import JournalError
from bluegreen.domain.release import Confirmed, Ended, Entry, Judged, RollbackBegan, RollingBack, Verified
from bluegreen.domain.values import replace

if TYPE_CHECKING:
    from bluegreen.domain.release import Body

SCHEMA = "1"
"""Another one when a version that knows only this cannot read the entries."""

EXCERPT = 4096
"""Bytes of a text that explains something. What is longer is cut."""

LARGEST = 256 * 1024
"""Bytes of an entry. A ConfigMap holds four times as much."""


def text_of(entry: Entry) -> str:
    """The entry as text, with its explanations cut. Raises JournalError when it is too large all the same."""
    text = json.dumps(to_plain(replace(entry, body=_bounded(entry.body))), separators=(",", ":"))
    if len(text) > LARGEST:
        raise JournalError(
            f"an entry of {len(text)} bytes is more than {LARGEST}, which is what the journal of {entry.run} takes",
            mend="make the pod templates smaller: a large file in them belongs into a ConfigMap of its own",
        )
    return text


def entry_of(text: str, *, run: str) -> Entry:
    """The entry. Raises JournalError when it is none."""
    try:
        return from_plain(Entry, json.loads(text))
    except (ValueError, RecursionError) as error:
        raise JournalError(
            f"an entry in the journal of {run} cannot be read: {error}",
            mend="use the version of bluegreen that wrote it",
        ) from error


def _bounded(body: Body) -> Body:
    """The body with its explanations cut. What a later command goes by, such as a plan, is never cut."""
    match body:
        case Ended(why=why, cause=cause):
            cause = replace(cause, detail=_cut(cause.detail), event=_cut(cause.event)) if cause is not None else None
            return replace(body, why=_cut(why), cause=cause)
        case RollingBack(why=why):
            return replace(body, why=_cut(why))
        case RollbackBegan(reason=reason):
            return replace(body, reason=_cut(reason))
        case Confirmed(how=how):
            return replace(body, how=_cut(how))
        case Judged(judgement=judgement) | Verified(judgement=judgement):
            findings = tuple(replace(each, figures=_cut(each.figures)) for each in judgement.findings)
            return replace(body, judgement=replace(judgement, findings=findings))
        case _:
            return body


def _cut(text: str) -> str:
    whole = text.encode()
    return text if len(whole) <= EXCERPT else whole[: EXCERPT - 3].decode(errors="ignore") + "…"
