"""What the API server's answers mean: one small tree below PlatformError, split by what the caller does next.

    PlatformError
    ├── Unreachable ............ nothing came back: no connection, a reset, no TLS
    │   ├── Silent ............. a watch without a byte for longer than bookmarks are apart
    │   └── LostAnswer ......... a write was sent and its answer never came: it may have been done; read back
    ├── NotKubernetes .......... something answered that is not the Kubernetes API, or not as it should
    └── Refused ................ the API server's own Status, by its code
        ├── Unauthorized  401 .. the credentials are not accepted, fetched anew or not
        ├── MissingRight  403 .. the account may not do it; names verb and resource
        ├── NotFound      404
        ├── AlreadyExists 409 .. of a creation
        ├── Conflict      409 .. the object is not the one that was judged, or a JSON patch's ``test`` failed (422)
        ├── Gone          410 .. the version is too old to resume from
        └── TooMany       429

Only a Status is read, never another body: that may hold a secret. Texts are cut at 256 characters.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bluegreen.domain.errors import DeadlineExceeded, PlatformError
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONGEST = 256
_LARGEST_STATUS = 256 * 1024
_WHOLE_OBJECT = re.compile(r'Invalid value: (?:"\{(?:[^"\\]|\\.)*"?|[{\[].*?[}\]](?=: |, |$))', re.DOTALL)
"""The API server quotes what it does not like, and that may be the whole object, secrets and all."""


class Unreachable(PlatformError):
    """Nothing came back."""


class Silent(Unreachable):
    """A watch brought nothing for longer than bookmarks are apart: what came meanwhile may be lost."""


class LostAnswer(Unreachable):
    """A write without a precondition was sent and not answered: whether it was done is to be read back."""


class NotKubernetes(PlatformError):
    """What answered is not the API of Kubernetes, or broke its rules."""


class Refused(PlatformError):
    """The API server said no."""

    def __init__(self, message: str, *, status: Status, mend: str = "") -> None:
        """``status``: what it said."""
        super().__init__(message, mend=mend)
        self.status = status


class Unauthorized(Refused):
    """It does not know who we are."""


class MissingRight(Refused):
    """The account may not do this. ``verb`` and ``resource`` are as in a Role."""

    def __init__(self, message: str, *, status: Status, verb: str, resource: str, mend: str = "") -> None:
        """As Refused."""
        super().__init__(message, status=status, mend=mend)
        self.verb = verb
        self.resource = resource


class NotFound(Refused):
    """There is no such object, or no such kind of object."""


class AlreadyExists(Refused):
    """The object to be created is there."""


class Conflict(Refused):
    """The object was changed since it was judged: read it again, judge it again."""


class Gone(Refused):
    """The version to resume a watch from is too old."""


class TooMany(Refused):
    """The API server has too much to do; it has not done this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The API server's own answer when it has nothing better: code, one word, one sentence."""

    code: int
    reason: str = ""
    message: str = ""
    causes: int = 0
    """How many causes it lists. A failed ``test`` has none, an object against the rules has."""
    retry_after: float = 0.0
    """Seconds, from the header or the Status; 0: it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked, in the words of a Role: for errors, and nothing else."""

    verb: str
    resource: str
    """With its group: ``deployments.apps``, ``pods/proxy``; or the path when it is none of a resource."""
    name: str = ""
    namespace: str = ""
    tests: bool = False
    """A JSON patch with ``test``."""

    def __str__(self) -> str:
        """``patch deployments.apps alfred-backend in alfred``."""
        name = f" {self.name}" if self.name else ""
        place = f" in {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.resource}{name}{place}"


def asked_of(verb: str, path: str, *, tests: bool = False) -> Asked:
    """Read the resource, the name and the namespace from a path of the API, without its query."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, rest = "", parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, rest = parts[1], parts[3:]
    else:
        return Asked(verb=verb, resource=path, tests=tests)
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    plural = f"{rest[0]}.{group}" if group else rest[0]
    sub = f"/{rest[2]}" if len(rest) > 2 else ""
    name = rest[1] if len(rest) > 1 else ""
    return Asked(verb=verb, resource=plural + sub, name=name, namespace=namespace, tests=tests)


@contextmanager
def in_time(what: str) -> Iterator[None]:
    """A server that hangs is out of reach; DeadlineExceeded is for limits that the release was given."""
    try:
        yield
    except DeadlineExceeded as error:
        mend = error.mend or "check that the API server is well: kubectl get --raw /readyz"
        raise Unreachable(f"{what}: {error}", mend=mend) from error


def clean(text: str) -> str:
    """One line without control characters, cut where it gets long."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def status_of(body: bytes, *, code: int, headers: Mapping[str, str]) -> Status | None:
    """The Status in an answer; None: it is none, and nobody looks at it further. ``headers``: names in lower case.

    Some of the API server's refusals are plain text: these are told by their code.
    """
    wait = _seconds(headers.get("retry-after", ""))
    found = own_status(body, code=code, retry_after=wait)
    if found is not None:
        return found
    plain = headers.get("content-type", "").startswith("text/plain")
    return Status(code=code, retry_after=wait) if code in {401, 429} or (code == 404 and plain) else None


def own_status(body: bytes, *, code: int, retry_after: float = 0.0) -> Status | None:
    """The Status that a body is; None: it is another thing."""
    if len(body) > _LARGEST_STATUS or not body.lstrip().startswith(b"{"):
        return None
    try:
        return status_from(json.loads(body), code=code, retry_after=retry_after)
    except (ValueError, RecursionError):
        return None


def status_from(found: object, *, code: int = 0, retry_after: float = 0.0) -> Status | None:
    """The Status that this JSON is; None: it is none. ``code``: for one that does not say it."""
    if not isinstance(found, dict) or found.get("kind") != "Status" or found.get("apiVersion") != "v1":
        return None
    details = found.get("details")
    details = details if isinstance(details, dict) else {}
    causes = details.get("causes")
    said = found.get("code")
    return Status(
        code=said if isinstance(said, int) else code,
        reason=clean(_text(found.get("reason"))),
        message=clean(_WHOLE_OBJECT.sub("Invalid value: (not shown)", _text(found.get("message")))),
        causes=len(causes) if isinstance(causes, list) else 0,
        retry_after=retry_after or _seconds(_text(details.get("retryAfterSeconds"))),
    )


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) else ""


def _seconds(text: str) -> float:
    """Retry-After in seconds; the API server writes no dates."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0.0


def error_of(asked: Asked, status: Status | None, *, code: int, server: str) -> PlatformError:
    """The error for an answer of 300 and more."""
    if status is None:
        return _not_kubernetes(asked, code=code, server=server)
    said = f"{asked}: {status.message or status.reason or 'refused'} ({status.code})"
    match status.code:
        case 401:
            return _unauthorized(status, server=server)
        case 403 if f"cannot {asked.verb} resource" in status.message or not status.message:
            return _missing_right(asked, status)
        case 404:
            return NotFound(said, status=status)
        case 409 if status.reason == "AlreadyExists":
            return AlreadyExists(said, status=status)
        case 409:
            return Conflict(said, status=status)
        case 422 if asked.tests and not status.causes:
            return Conflict(said, status=status)
        case 410:
            return Gone(said, status=status)
        case 429:
            return TooMany(said, status=status)
        case _:
            return Refused(said, status=status)


def _unauthorized(status: Status, *, server: str) -> Unauthorized:
    return Unauthorized(
        f"the API server at {server} does not accept the credentials (401)",
        status=status,
        mend="log in again, or give KUBECONFIG credentials that are valid; kubectl auth whoami shows whose they are",
    )


def _missing_right(asked: Asked, status: Status) -> MissingRight:
    place = f" in namespace {asked.namespace}" if asked.namespace else ""
    question = question_of(asked.verb, asked.resource, name=asked.name, namespace=asked.namespace)
    return MissingRight(
        f"the account may not {asked.verb} {asked.resource}{place} (403)",
        status=status,
        verb=asked.verb,
        resource=asked.resource,
        mend=f"give it the right, then check: {question}",
    )


def question_of(verb: str, resource: str, *, name: str, namespace: str) -> str:
    """The command that asks whether the account has it now. To kubectl ``pods/log`` would be the pod called ``log``."""
    whole, _, part = resource.partition("/")
    if not whole:  # a path that is none of a resource
        return f"kubectl auth can-i {verb} {resource}"
    what = f"{whole}/{name}" if name else whole
    sub = f" --subresource={part}" if part else ""
    where = f" -n {namespace}" if namespace else " -A"
    return f"kubectl auth can-i {verb} {what}{sub}{where}"


def _not_kubernetes(asked: Asked, *, code: int, server: str) -> PlatformError:
    """A proxy's or a gateway's page: told by its code alone."""
    if code == 429 or code >= 500:
        text = f"{asked}: {server} answered {code}, and not as the Kubernetes API does"
        return Unreachable(text, mend="a proxy or load balancer before the API server may be in trouble")
    text = f"{asked}: {server} answered {code}, which is not an answer of the Kubernetes API"
    return NotKubernetes(text, mend="check the server's address in KUBECONFIG, and any proxy on the way")
