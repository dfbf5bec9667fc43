"""What the agent tells: the state of every replica, as one line of JSON at each change."""

from __future__ import annotations

import json

from bluegreen.domain.codec import from_plain, to_plain
from bluegreen.domain.snapshot import Pod
from bluegreen.domain.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """All pods at one instant."""

    pods: tuple[Pod, ...]


def line_of(frame: Frame) -> bytes:
    """One line, with its end."""
    return json.dumps(to_plain(frame), separators=(",", ":")).encode() + b"\n"


def frame_of(line: bytes) -> Frame:
    """Raises ValueError for what is no frame."""
    return from_plain(Frame, json.loads(line))
