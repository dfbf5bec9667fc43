"""The YAML text as a tree of nodes that know their line. Nothing here knows what an app file is.

The tree is read from PyYAML's own nodes instead of its Python values, for three reasons: a value has no line, a mapping
with a key twice silently loses one, and YAML 1.1 turns ``no`` into false, ``12:30`` into 750 and ``010`` into 8. Here a
plain scalar is a number only when it is written as one; everything that YAML 1.1 would reinterpret is kept as what it
is, an ambiguous word, for the reader to refuse.
"""

from __future__ import annotations

import re
import stat
from math import isfinite
from typing import TYPE_CHECKING, Final

import yaml

from bluegreen.domain.errors import AppFileError
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from pathlib import Path

_PREFIX: Final = "tag:yaml.org,2002:"
_TAGS = frozenset(
    _PREFIX + name for name in ("map", "seq", "str", "null", "bool", "int", "float", "timestamp", "merge", "value")
)
"""What PyYAML resolves by itself. Any other tag was written by hand, and would make something of a value."""
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})\Z")
_REAL = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\Z")
_MERGE_KEY: Final = "<<"
_ADDRESS: Final = re.compile(r"://\S*")
"""What follows the scheme of a URL may be a secret, wherever somebody has written it by mistake."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_QUOTE_IT: Final = "text that begins with it stands in quotes; else remove it"
LONGEST_QUOTE: Final = 60
"""How much of a value an error repeats; its line says where the rest is."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """A plain scalar that YAML 1.1 takes for something else than text or a decimal number."""


Scalar = None | int | float | str | Ambiguous


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A scalar, as it is written and as what it is understood."""

    line: int
    text: str
    value: Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """A sequence."""

    line: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of a mapping, as it is written."""

    line: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A mapping; its keys are unique."""

    line: int
    pairs: tuple[tuple[Key, Node], ...]


Node = Leaf | Items | Mapping


def shown(text: str) -> str:
    """As much of what the file says as an error may repeat."""
    text = _ADDRESS.sub("://...", text)
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}..."


def read(path: Path) -> Node:
    """Read the file's one document. Raises AppFileError for whatever is no YAML, with its line."""
    return parse(_text(path), path=str(path))


def parse(text: str, *, path: str) -> Node:
    """Read the text's one document; ``path`` is for errors only."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, path=path) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"the character U+{ord(text[error.position]):04X} may not stand in a YAML file"
        raise AppFileError(message, path=path, line=line, mend="remove it") from error
    except RecursionError as error:
        raise AppFileError("it is nested too deeply", path=path, mend="an app file is five levels deep") from error
    if root is None:
        raise AppFileError("the file is empty", path=path, mend="bluegreen schema says what an app file holds")
    return _Reader(path).read(root)


def _text(path: Path) -> str:
    if _can_be_read_once(path):
        mend = "write it into a file, and name that"
        raise AppFileError(
            "it is no file but a pipe or a device, and is read more than once", path=str(path), mend=mend
        )
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise AppFileError("there is no such file", path=str(path), mend="name the app file with --app FILE") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise AppFileError("the file is not UTF-8 text", path=str(path), line=line, mend="save it as UTF-8") from error
    except OSError as error:
        message = f"it cannot be read: {error.strerror}"
        raise AppFileError(message, path=str(path), mend="name the app file with --app FILE") from error


def _can_be_read_once(path: Path) -> bool:
    """As ``--app <(envsubst <app.yaml)`` makes it: whoever reads it next finds nothing, or waits for ever."""
    try:
        kind = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(kind) and not stat.S_ISDIR(kind)


def _syntax_error(error: yaml.MarkedYAMLError, *, path: str) -> AppFileError:
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "this is no YAML"
    mend = "see YAML's rules for this line, or the line before it"
    if "'\\t'" in problem:
        problem, mend = "a tab is no indentation in YAML", "indent with spaces"
    elif problem.startswith("found undefined alias"):
        problem, mend = "the * begins an alias, and there is no such anchor", _QUOTE_IT
    elif problem.startswith("found undefined tag handle"):
        problem, mend = "the ! begins a tag, which means nothing here", _QUOTE_IT
    elif isinstance(error, yaml.composer.ComposerError) and "single document" in (error.context or ""):
        problem, mend = "a second document begins here", "keep one stack in one file"
    return AppFileError(problem, path=path, line=mark.line + 1 if mark else 0, mend=mend)


class _Reader:
    """Turns PyYAML's nodes into ours. Aliases share one node, so many of them cost nothing; a circle is refused."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._open: set[yaml.Node] = set()
        self._done: dict[yaml.Node, Node] = {}

    def read(self, node: yaml.Node) -> Node:
        if node in self._open:
            raise self._error(node, "this value holds itself", mend="write it out without the alias")
        if node not in self._done:
            self._open.add(node)
            self._done[node] = self._read(node)
            self._open.remove(node)
        return self._done[node]

    def _read(self, node: yaml.Node) -> Node:
        line = node.start_mark.line + 1
        if node.tag not in _TAGS:
            raise self._tagged(node)
        if isinstance(node, yaml.MappingNode):
            return Mapping(line=line, pairs=self._pairs(node))
        if isinstance(node, yaml.SequenceNode):
            return Items(line=line, items=tuple(self.read(item) for item in node.value))
        assert isinstance(node, yaml.ScalarNode)  # noqa: S101 - YAML has no fourth kind
        self._refuse_halves(node)
        return Leaf(line=line, text=node.value, value=_scalar(node))

    def _pairs(self, node: yaml.MappingNode) -> tuple[tuple[Key, Node], ...]:
        own: dict[str, tuple[Key, Node]] = {}
        merged: dict[str, tuple[Key, Node]] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key.text == _MERGE_KEY:
                merged.update(self._merged(value_node))
            elif key.text in own:
                first = own[key.text][0].line
                message = f"the key {shown(key.text)!r} is here twice: it was given in line {first} already"
                raise self._error(key_node, message, mend="remove one of them")
            else:
                own[key.text] = (key, self.read(value_node))
        return tuple({**merged, **own}.values())

    def _merged(self, node: yaml.Node) -> dict[str, tuple[Key, Node]]:
        found = self.read(node)
        sources = found.items if isinstance(found, Items) else (found,)
        pairs: dict[str, tuple[Key, Node]] = {}
        for source in reversed(sources):
            if not isinstance(source, Mapping):
                raise self._error(node, "'<<' takes a mapping, or a list of mappings", mend="write the keys out")
            pairs.update({key.text: (key, value) for key, value in source.pairs})
        return pairs

    def _key(self, node: yaml.Node) -> Key:
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, "a key must be a word", mend="write it as name: value")
        self._refuse_halves(node)
        return Key(line=node.start_mark.line + 1, text=node.value)

    def _refuse_halves(self, node: yaml.ScalarNode) -> None:
        r"""``"\ud800"`` is half a character, which no file, no process and no JSON can hold."""
        if half := _SURROGATE.search(node.value):
            raise self._error(node, f"U+{ord(half[0]):04X} is no character", mend="remove it")

    def _tagged(self, node: yaml.Node) -> AppFileError:
        """One of YAML's own by its name; any other may be the beginning of somebody's password."""
        if node.tag.startswith(_PREFIX):
            return self._error(node, f"the tag {shown(node.tag)} means nothing here", mend="remove it")
        return self._error(node, "the ! begins a tag, which means nothing here", mend=_QUOTE_IT)

    def _error(self, node: yaml.Node, message: str, *, mend: str) -> AppFileError:
        return AppFileError(message, path=self._path, line=node.start_mark.line + 1, mend=mend)


def _scalar(node: yaml.ScalarNode) -> Scalar:
    """The value as it is written; ``tag`` is what YAML 1.1 makes of it."""
    text: str = node.value
    match node.tag.removeprefix(_PREFIX):
        case "str":
            return text
        case "null":
            return None
        case "int" if _WHOLE.match(text):
            return int(text)
        case "float" if _REAL.match(text) and isfinite(float(text)):
            return float(text)
        case _:
            return Ambiguous()
