"""Image references, read the way container engines read them.

Grammar and defaults follow the distribution project's reference format: the first component is a registry only when it
holds a dot or a colon or is ``localhost``; without a registry the image is Docker Hub's, and a one-part name is Hub's
``library/``.
"""

from __future__ import annotations

import re

from bluegreen.domain.errors import UsageError
from bluegreen.domain.values import dataclass

DEFAULT_REGISTRY = "docker.io"
_HUB_ALIASES = frozenset({"index.docker.io", "registry-1.docker.io"})
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?:\[[0-9a-fA-F:]+\]|{_LABEL}(?:\.{_LABEL})*)"
_REGISTRY = re.compile(rf"{_HOST}(?::[0-9]{{1,5}})?\Z")
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,}\Z")
_LONGEST_NAME = 255
_LONGEST = 600
"""Of a whole reference: a name, a tag and the longest digest, with room for a registry."""
_DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
"""Hexadecimal digits of the algorithms that engines know: a digest that lost its end when it was copied is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """``registry/repository:tag@digest``; ``tag`` and ``digest`` may be empty, never both."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """Read one reference. Raises UsageError that says which part is wrong."""
        rest, _, digest = text.partition("@")
        name, tag = _split_tag(rest)
        registry, repository = _split_registry(name)
        _check(text, registry=registry, repository=repository, tag=tag, digest=digest if "@" in text else None)
        if not tag and not digest:
            tag = "latest"
        return cls(registry=registry, repository=repository, tag=tag, digest=digest)

    @property
    def mutable(self) -> bool:
        """Whether the same reference may name other bits tomorrow."""
        return not self.digest

    @property
    def version(self) -> str:
        """What people call this version: the tag, or the start of the digest."""
        return self.tag or self.digest.partition(":")[2][:12]

    @property
    def name(self) -> str:
        """Registry and repository as people write them: Docker Hub's own prefix is left out where it can be."""
        whole = (self.registry, self.repository)
        short = self.repository.removeprefix("library/")
        if self.registry == DEFAULT_REGISTRY and _split_registry(short) == whole:
            return short
        return "/".join(whole)

    def __str__(self) -> str:
        """The reference as people write it."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def _split_tag(text: str) -> tuple[str, str]:
    """Cut the tag off: a colon after the last slash (a registry's port has its colon before it)."""
    head, colon, tail = text.rpartition(":")
    if not colon or "/" in tail:
        return text, ""
    return head, tail or ":"  # an empty tag is kept as a value that no tag can have, and is refused below


def _split_registry(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        registry = DEFAULT_REGISTRY if first in _HUB_ALIASES else first
        return registry, _with_library(registry, rest)
    return DEFAULT_REGISTRY, _with_library(DEFAULT_REGISTRY, name)


def _with_library(registry: str, repository: str) -> str:
    if registry == DEFAULT_REGISTRY and repository and "/" not in repository:
        return f"library/{repository}"
    return repository


def _check(text: str, *, registry: str, repository: str, tag: str, digest: str | None) -> None:
    problem = _stranger(text) or _problem(registry=registry, repository=repository, tag=tag, digest=digest)
    if problem:
        raise UsageError(
            f"image {_shown(text)!r}: {problem}",
            mend="write it as [registry[:port]/]repository[:tag][@digest], for example alfredai/backend:v2.1.0",
        )


def _stranger(text: str) -> str:
    """What is no reference at all, but an address, say. Told first, for the parts that follow may be a password's."""
    if "://" in text:
        return "it is a URL: a reference begins with the registry's host"
    if "/" in text.rpartition("@")[2] and "@" in text:
        return "it names a user: whoever pulls it has credentials of its own"
    return "it is too long" if len(text) > _LONGEST else ""


def _shown(text: str) -> str:
    """As much of it as an error may repeat: no user, no password, no end of what has none."""
    user, at, rest = text.rpartition("@")
    if at and ("://" in user or "/" in rest):
        scheme, slashes, _ = user.partition("://")
        text = f"{scheme if slashes else ''}{slashes}***@{rest}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _problem(*, registry: str, repository: str, tag: str, digest: str | None) -> str:
    if not _REGISTRY.match(registry):
        return f"the registry {registry!r} is not a host name with an optional port"
    if not repository:
        return "the repository is missing"
    if len(repository) > _LONGEST_NAME:
        return f"the repository is longer than {_LONGEST_NAME} characters"
    for part in repository.split("/"):
        if not _COMPONENT.match(part):
            return f"the repository part {part!r} may hold only lower-case letters, digits and single separators"
    if tag and not _TAG.match(tag):
        return f"the tag {tag.strip(':')!r} is not a tag"
    return "" if digest is None else _digest_problem(digest)


def _digest_problem(digest: str) -> str:
    if not _DIGEST.match(digest):
        return f"the digest {digest!r} is not algorithm:hexadecimal"
    algorithm, _, digits = digest.partition(":")
    wanted = _DIGEST_LENGTHS.get(algorithm, len(digits))
    if len(digits) != wanted:
        return f"the digest has {len(digits)} hexadecimal digits, and {algorithm} has {wanted}"
    return ""
