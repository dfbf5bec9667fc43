"""From KUBECONFIG to a Cluster: a path, several paths, or the content itself, as it is or in base64.

Several files are merged as kubectl does it: whatever comes first wins, whole entries at a time, and a relative path
starts from its own file. Content stays in memory. Set but empty is refused: a missing secret must never mean some other
cluster. No error quotes what stands in a kubeconfig, but for names of contexts, clusters and users, and paths.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from bluegreen.domain.errors import UsageError
from bluegreen.domain.values import dataclass, field
from bluegreen.platforms.kubernetes import plain_yaml
from bluegreen.platforms.kubernetes.node import Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bluegreen.platforms.kubernetes.cluster import Cluster

HOME = Path(".kube", "config")
POD = Path("/var/run/secrets/kubernetes.io/serviceaccount")

_DEEPEST = 50
_NAMES_SHOWN = 10
_LONGEST_PATH = 128
_LONGEST_BARE = 24
"""A value longer than that (the second: without a separator), which names no file, is more likely a secret in the wrong
place than a path: it is not shown."""
_BASE64 = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A context's, cluster's or user's settings, and where they stand."""

    node: Node
    folder: Path | None
    """Where relative paths start; None: it came as content, and there are none."""


@dataclass(frozen=True, slots=True)
class Merged:
    """All files as one."""

    contexts: dict[str, Entry] = field(default_factory=dict)
    clusters: dict[str, Entry] = field(default_factory=dict)
    users: dict[str, Entry] = field(default_factory=dict)
    current: str = ""


def load_cluster(
    environ: Mapping[str, str], *, context: str = "", home: Path | None = None, pod: Path = POD
) -> Cluster:
    """The cluster that the environment means. Raises UsageError with the mend.

    ``context``: its name, if not the current one. ``home``: the user's folder. ``pod``: a service account's folder.
    """
    from bluegreen.platforms.kubernetes.resolve import cluster_in_pod, cluster_of

    value = environ.get("KUBECONFIG")
    if value is not None:
        merged, notes = _given(value)
        return cluster_of(merged, context=context, environ=environ, notes=notes)
    own = (home or _expanded("~")) / HOME
    if own.is_file():
        return cluster_of(merge([_file(own)]), context=context, environ=environ)
    if environ.get("KUBERNETES_SERVICE_HOST") and (pod / "token").is_file():
        return cluster_in_pod(pod, environ=environ)
    raise UsageError(
        f"no cluster is named: KUBECONFIG is not set, and {own} does not exist",
        mend="set KUBECONFIG to a kubeconfig's path, or to its content",
    )


def _given(value: str) -> tuple[Merged, tuple[str, ...]]:
    if not value.strip():
        raise UsageError(
            "KUBECONFIG is set but empty",
            mend="give the secret that fills it a value, or unset KUBECONFIG to use ~/.kube/config",
        )
    content = content_of(value)
    if content is not None:
        return merge([(parse(content, whose="KUBECONFIG"), None)]), ()
    return _files([_expanded(part) for part in value.strip().split(os.pathsep) if part])


def _expanded(text: str) -> Path:
    """With the home for a ``~``; as it is where nobody knows that home."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a child: KUBECONFIG goes along when it is a path, never when it is the content."""
    content = content_of(environ.get("KUBECONFIG", "")) is not None
    return {name: value for name, value in environ.items() if name != "KUBECONFIG" or not content}


def content_of(value: str) -> str | None:
    """The kubeconfig that the value is; None: it is one path, or several."""
    text = value.strip().removeprefix("\ufeff")
    decoded = _decoded(text)
    if decoded is not None:
        return decoded
    return text if "\n" in text or ": " in text or text.startswith("{") else None


def _decoded(text: str) -> str | None:
    """What base64 it is says, when that is a kubeconfig. Line breaks are those of the program ``base64``."""
    packed = "".join(text.split())
    if not _BASE64.fullmatch(packed):
        return None
    try:
        found = base64.b64decode(packed, validate=True).decode("utf-8").strip()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return found if "\n" in found or found.startswith("{") else None


# --- files ------------------------------------------------------------------------------------------------------


def _files(paths: Sequence[Path]) -> tuple[Merged, tuple[str, ...]]:
    """As kubectl: a file that is missing is skipped, but not when none is left."""
    there = [path for path in paths if os.path.exists(path)]  # noqa: PTH110  # Path's raises for a long name
    if not there:
        raise UsageError(
            f"KUBECONFIG: {_shown(paths)}",
            mend="check the path; or put the kubeconfig's content into KUBECONFIG",
        )
    notes = tuple(f"KUBECONFIG: {_name(path)} does not exist and is skipped" for path in paths if path not in there)
    return merge([_file(path) for path in there]), notes


def _shown(paths: Sequence[Path]) -> str:
    return f"there is no file {', '.join(map(_name, paths))}"


def _name(path: Path) -> str:
    text = str(path)
    like_a_path = len(text) <= _LONGEST_BARE or (os.sep in text and len(text) <= _LONGEST_PATH)
    return text if like_a_path else f"(of a name of {len(text)} characters, which is not shown)"


def _file(path: Path) -> tuple[Node, Path | None]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"{_name(path)}: {why}", mend="check what KUBECONFIG names") from None
    # An empty one is a kubeconfig that says nothing, as kubectl has it.
    return parse(text if text.strip() else "{}", whose=str(path)), path.absolute().parent


def parse(text: str, *, whose: str) -> Node:
    """The tree of one kubeconfig, JSON or YAML. Raises UsageError with the line, never with what stands there."""
    found = _tree(text, whose=whose)
    if not isinstance(found, dict):
        raise UsageError(f"{whose}: this is not a kubeconfig", mend="compare it with kubectl config view")

    def fault(what: str) -> UsageError:
        return UsageError(f"{whose}: {what}", mend="compare it with kubectl config view; a text of digits needs quotes")

    return Node(found, fault=fault)


def _tree(text: str, *, whose: str) -> object:
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass  # YAML has braces too
    try:
        return plain_yaml.read(text)
    except plain_yaml.GaveUp:
        return _any_yaml(text, whose=whose)


def _any_yaml(text: str, *, whose: str) -> object:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _refuse_depth(yaml.parse(text, Loader=loader))
        return yaml.load(text, Loader=loader)  # noqa: S506  # both are safe loaders
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        # From None: the fault quotes the line, and that may be a token.
        raise UsageError(f"{whose}{line}: this is not YAML", mend="compare it with kubectl config view") from None


def _refuse_depth(events: Iterable[object]) -> None:
    """The fast loader recurses in C: what is nested very deep would end the process, not raise."""
    depth = 0
    for event in events:
        name = type(event).__name__
        depth += name.endswith("StartEvent") - name.endswith("EndEvent")
        if depth > _DEEPEST:
            raise ValueError("nested too deep")


# --- merging ----------------------------------------------------------------------------------------------------


def merge(files: Sequence[tuple[Node, Path | None]]) -> Merged:
    """One tree of several: what comes first wins."""
    contexts: dict[str, Entry] = {}
    clusters: dict[str, Entry] = {}
    users: dict[str, Entry] = {}
    current = ""
    for tree, folder in files:
        for plural, name, entries in (
            ("contexts", "context", contexts),
            ("clusters", "cluster", clusters),
            ("users", "user", users),
        ):
            for key, node in _named(tree.at(plural), name):
                entries.setdefault(key, Entry(node, folder))
        current = current or tree.at("current-context").text()
    return Merged(contexts=contexts, clusters=clusters, users=users, current=current)


def _named(entries: Node, inner: str) -> Iterator[tuple[str, Node]]:
    return ((entry.at("name").text(), entry.at(inner)) for entry in entries.items())


def names(entries: Mapping[str, Entry]) -> str:
    """The names there are, for an error."""
    shown = ", ".join(sorted(entries)[:_NAMES_SHOWN]) or "none"
    return shown if len(entries) <= _NAMES_SHOWN else f"{shown} and {len(entries) - _NAMES_SHOWN} more"
