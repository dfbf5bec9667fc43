"""Which faults a bad version has: the text of ``ALFRED_FAULT`` parsed into one value.

Decides what a fault is called and which numbers make sense. Does not misbehave itself: ``faulty`` does that for
requests, ``process`` for the life of the process, ``gateway`` and ``backend`` for readiness.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

KNOWN = (
    "cannot-start, crash-after=SECONDS, never-ready, errors=PERCENT, post-errors=PERCENT, kept-alive-errors=PERCENT, "
    "slow=MS, tail=MS[@PERCENT], error-page, error-page-after=REQUESTS, metrics-gone=REQUESTS, "
    "counters-reset=REQUESTS, memory=MB_PER_REQUEST"
)
USUAL_TAIL_PERCENT = 10


class FaultError(ValueError):
    """The text names no fault, or one with a number that makes no sense; the message is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What is wrong with this version. Nothing is, unless it is configured."""

    cannot_start: bool = False
    """It gives up as soon as it is started."""
    crash_after: int | None = None
    """Seconds of life after which it dies without a goodbye."""
    never_ready: bool = False
    """It lives, and never says that it is ready."""
    errors: int = 0
    """Percent of the requests to /api/ that are answered with 500."""
    post_errors: int = 0
    """The same of POST requests only."""
    kept_alive_errors: int = 0
    """The same of requests that are not the first on their connection."""
    slow_ms: int = 0
    """Milliseconds added to every request to /api/."""
    tail_ms: int = 0
    """Milliseconds added to some requests to /api/ only."""
    tail_percent: int = USUAL_TAIL_PERCENT
    """How many percent these are."""
    error_page: bool = False
    """Every request to /api/ is answered with 200 and a page that says that something went wrong."""
    error_page_after: int | None = None
    """The same, once it has had so many requests to /api/: whoever looks before its users come sees nothing of it."""
    metrics_gone: int | None = None
    """It has no metrics any more, once it has had so many requests to /api/."""
    counters_reset: int | None = None
    """Its counts of requests begin again from 0 each so many requests to /api/."""
    memory_mb: int = 0
    """Megabytes that every request to /api/ leaves behind."""

    @property
    def in_requests(self) -> bool:
        """Whether requests are treated otherwise than a good version would."""
        later = (self.error_page_after, self.metrics_gone, self.counters_reset)
        errors = self.errors or self.post_errors or self.kept_alive_errors
        return bool(errors or self.slow_ms or self.tail_ms or self.error_page or self.memory_mb or any(later))


def parse_faults(text: str) -> Faults:
    """Read faults separated by commas, for example ``errors=5,slow=40``; nothing at all is a good version.

    Raises FaultError for an unknown fault, a number out of bounds, or a value that is missing or too many.
    """
    faults = Faults()
    for item in filter(None, (part.strip() for part in text.split(","))):
        faults = _with(faults, item)
    return faults


def _with(faults: Faults, item: str) -> Faults:
    name, given, value = item.partition("=")
    match name, given:
        case "cannot-start", "":
            return replace(faults, cannot_start=True)
        case "crash-after", "=":
            return replace(faults, crash_after=_number(item, value, most=3600))
        case "never-ready", "":
            return replace(faults, never_ready=True)
        case "errors", "=":
            return replace(faults, errors=_number(item, value, most=100))
        case "post-errors", "=":
            return replace(faults, post_errors=_number(item, value, most=100))
        case "kept-alive-errors", "=":
            return replace(faults, kept_alive_errors=_number(item, value, most=100))
        case "slow", "=":
            return replace(faults, slow_ms=_number(item, value, most=60_000))
        case "tail", "=":
            return _with_tail(faults, item, value)
        case "error-page", "":
            return replace(faults, error_page=True)
        case "error-page-after", "=":
            return replace(faults, error_page_after=_number(item, value, most=1_000_000))
        case "metrics-gone", "=":
            return replace(faults, metrics_gone=_number(item, value, most=1_000_000))
        case "counters-reset", "=":
            return replace(faults, counters_reset=_number(item, value, most=1_000_000))
        case "memory", "=":
            return replace(faults, memory_mb=_number(item, value, most=512))
    raise FaultError(f"there is no fault {item!r}; known are {KNOWN}")


def _with_tail(faults: Faults, item: str, value: str) -> Faults:
    delay, at, percent = value.partition("@")
    faults = replace(faults, tail_ms=_number(item, delay, most=60_000))
    if at:
        faults = replace(faults, tail_percent=_number(item, percent, most=100))
    return faults


def _number(item: str, digits: str, *, most: int) -> int:
    if digits.isascii() and digits.isdecimal() and 1 <= int(digits[:9]) <= most:
        return int(digits)
    raise FaultError(f"the fault {item!r} needs a whole number from 1 to {most}; known are {KNOWN}")
