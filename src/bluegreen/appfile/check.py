"""A tree of nodes against the structs of the schema: the first thing that does not fit, with its line.

The rules come from the structs, by msgspec's own reading of them, so there is one place to change them. msgspec's
errors are not used: they carry no line, do not name the key of a mapping's value, and know no nearest name.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import TYPE_CHECKING, Any

from msgspec import inspect

from bluegreen.appfile.nodes import Ambiguous, Items, Leaf, Mapping, shown
from bluegreen.appfile.schema import (
    CLASS,
    HEADER,
    HEADER_VALUE,
    JSON_PATH,
    LABEL,
    LABEL_KEY,
    LONGEST,
    METHOD,
    NAME,
    OCCASION,
    PATH,
    PORT_NAME,
    SERVICE,
    UNIT,
    URL,
    VARIABLE,
)
from bluegreen.domain.errors import AppFileError
from bluegreen.domain.values import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bluegreen.appfile.nodes import Key, Node, Scalar

Step = str | int
At = tuple[Step, ...]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_TIME = re.compile(rf"([0-9]+(?:\.[0-9]+)?) ?({'|'.join(_UNITS)})")
_SECRETS = frozenset({"environment", "request_headers"})
"""What these hold is the program's own, and may be a password."""

PATTERNS = {
    NAME: "a name of lower-case letters, digits and dashes",
    PORT_NAME: "a port's name of lower-case letters, digits and dashes",
    PATH: "a path that begins with / and has no blank in it",
    VARIABLE: "a variable's name, such as LOG_LEVEL",
    LABEL: "a label's value, such as blue",
    LABEL_KEY: "a label's name, such as example.com/slot",
    UNIT: "ms or s",
    CLASS: "a class such as 2xx",
    HEADER: "a header's name",
    HEADER_VALUE: "text of one line",
    JSON_PATH: "keys with dots between them, such as database.state",
    METHOD: "GET or POST",
    URL: "a URL that begins with http:// or https://",
    SERVICE: "a name of lower-case letters, digits and dashes",
    OCCASION: "release, failure, rollback or held",
    r"^[0-9]+(\.[0-9]+)? ?%$": "a percentage such as 1%",
}
"""What each pattern of the schema asks for, in words."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where each value of the file is written: its path in the file to its line."""

    file: str
    lines: dict[At, int] = field(default_factory=dict)

    def has(self, *at: Step) -> bool:
        """Whether the file writes a value there."""
        return at in self.lines

    def error(self, message: str, *at: Step, mend: str = "") -> AppFileError:
        """An error about the value at this path, or about what holds it when it is not written itself."""
        while at and at not in self.lines:
            at = at[:-1]
        return AppFileError(message, path=self.file, line=self.lines.get(at, 0), mend=mend)


def check(node: Node, wanted: inspect.Type, places: Places, at: At = ()) -> Any:  # noqa: ANN401 - plain values
    """Return the node as plain values that fit ``wanted``, noting each one's line. Raises AppFileError."""
    places.lines.setdefault(at, node.line)
    wanted = _of_its_kind(node, _bare(wanted))
    if isinstance(wanted, inspect.StructType) and isinstance(node, Mapping):
        return _check_struct(node, wanted, places, at)
    if isinstance(wanted, inspect.DictType) and isinstance(node, Mapping):
        return _check_dict(node, wanted, places, at)
    if isinstance(wanted, inspect.ListType) and isinstance(node, Items):
        return _check_list(node, wanted, places, at)
    if isinstance(node, Leaf):
        options = _options(wanted)
        if any(isinstance(option, inspect.BoolType) for option in options) and _is_truth(node):
            return node.text == "true"
        if any(_fits(node.value, option) for option in options):
            return node.value
    raise _misfit(node, wanted, places, at)


def _bare(wanted: inspect.Type) -> inspect.Type:
    """The type without its description."""
    while isinstance(wanted, inspect.Metadata):
        wanted = wanted.type
    return wanted


def _of_its_kind(node: Node, wanted: inspect.Type) -> inspect.Type:
    """Of a union that may be a list or one value, what such a node can be."""
    if isinstance(node, Items):
        return next((each for each in _options(wanted) if isinstance(each, inspect.ListType)), wanted)
    return wanted


def _is_truth(node: Leaf) -> bool:
    """``true`` and ``false`` without quotes. YAML 1.1 has ten more words for them, and they stay ambiguous."""
    return isinstance(node.value, Ambiguous) and node.text in {"true", "false"}


def _options(wanted: inspect.Type) -> tuple[inspect.Type, ...]:
    if isinstance(wanted, inspect.UnionType):
        return tuple(_bare(option) for option in wanted.types)
    return (wanted,)


def _check_struct(node: Mapping, wanted: inspect.StructType, places: Places, at: At) -> dict[str, Any]:
    fields = {each.encode_name: each for each in wanted.fields}
    for key, _ in node.pairs:
        places.lines[(*at, key.text)] = key.line
        if key.text not in fields:
            raise _unknown_key(key, list(fields), places, at)
    given = {key.text: value for key, value in node.pairs}
    missing = [name for name, each in fields.items() if each.required and name not in given]
    if missing:
        raise places.error(f"{_where(at)} has no {_quoted(missing)}", *at, mend=_add(missing))
    return {name: check(value, fields[name].type, places, (*at, name)) for name, value in given.items()}


def _add(missing: Sequence[str]) -> str:
    return "add " + ", ".join(f"{name}: ..." for name in missing)


def _unknown_key(key: Key, known: Sequence[str], places: Places, at: At) -> AppFileError:
    what = "an unknown key" if _secret(at) else f"the unknown key {shown(key.text)!r}"
    mend = f"it may be {', '.join(known)}" if _secret(at) else nearest(key.text, known)
    return places.error(f"{_where(at)} has {what}", *at, key.text, mend=mend)


def nearest(name: str, known: Iterable[str]) -> str:
    """What to write instead of a name that does not exist: the nearest one, or all that there are."""
    import difflib  # only when something is wrong

    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    if not known:
        return "there is no other: remove it"
    return f"it may be {', '.join(known)}"


def _check_dict(node: Mapping, wanted: inspect.DictType, places: Places, at: At) -> dict[str, Any]:
    for key, _ in node.pairs:
        places.lines[(*at, key.text)] = key.line
        if not _fits(key.text, _bare(wanted.key_type)):
            message = f"in {_where(at)} the key {shown(key.text)!r} is not {_describe(_bare(wanted.key_type))}"
            raise places.error(message, *at, key.text, mend="rename it")
    return {key.text: check(value, wanted.value_type, places, (*at, key.text)) for key, value in node.pairs}


def _check_list(node: Items, wanted: inspect.ListType, places: Places, at: At) -> list[Any]:
    if len(node.items) < (wanted.min_length or 0):
        raise places.error(f"{_where(at)} is an empty list", *at, mend="it needs at least one entry")
    return [check(item, wanted.item_type, places, (*at, index)) for index, item in enumerate(node.items)]


def _fits(value: Scalar, wanted: inspect.Type) -> bool:
    if isinstance(wanted, inspect.StrType):
        return isinstance(value, str) and _text_fits(value, wanted)
    if isinstance(wanted, inspect.IntType):
        return isinstance(value, int) and _in_range(value, wanted)
    if isinstance(wanted, inspect.FloatType):
        return isinstance(value, int | float) and _in_range(value, wanted)
    return False


def _text_fits(value: str, wanted: inspect.StrType) -> bool:
    longest = wanted.max_length or len(value)
    matches = wanted.pattern is None or re.fullmatch(wanted.pattern, value) is not None
    return (wanted.min_length or 0) <= len(value) <= longest and matches and "\0" not in value


def _in_range(value: float, wanted: inspect.IntType | inspect.FloatType) -> bool:
    return (
        (wanted.ge is None or value >= wanted.ge)
        and (wanted.gt is None or value > wanted.gt)
        and (wanted.le is None or value <= wanted.le)
        and (wanted.lt is None or value < wanted.lt)
    )


def _misfit(node: Node, wanted: inspect.Type, places: Places, at: At) -> AppFileError:
    expected = " or ".join(_describe(option) for option in _options(wanted))
    found = _kind(node) if _secret(at) else _found(node)
    mend = _mend(node, wanted, quote="" if _secret(at) else f': "{shown(_text_of(node))}"')
    return places.error(f"{_where(at)} must be {expected}, but is {found}", *at, mend=mend)


def _secret(at: At) -> bool:
    """Whether what stands there may hold a secret, so that no error may repeat it: a password of digits alone, written
    without quotes, is refused in a job whose log many can read.
    """
    return at[:1] == ("notify",) or at == ("prometheus", "url") or bool(_SECRETS.intersection(map(str, at)))


def _text_of(node: Node) -> str:
    return node.text if isinstance(node, Leaf) else ""


def _mend(node: Node, wanted: inspect.Type, *, quote: str) -> str:
    """``quote``: its text, where that may be repeated."""
    if not isinstance(node, Leaf):
        return ""
    if node.value is None:
        return "give it a value, or remove the key"
    if isinstance(node.value, str):
        return _bare_number(node.text, wanted) or _bare_seconds(node.text, wanted)
    if any(_fits(node.text, option) for option in _options(wanted)):
        return f"write it in quotes{quote}"
    return ""


def _bare_number(text: str, wanted: inspect.Type) -> str:
    """For a number in quotes, or in a notation that YAML takes for text."""
    try:
        number = float(text)
    except ValueError:
        return ""
    whole = int(number) if number.is_integer() else number
    if isfinite(number) and any(_fits(whole, option) for option in _options(wanted)):
        return f"write it as a plain number: {whole:.15g}"
    return ""


def _bare_seconds(text: str, wanted: inspect.Type) -> str:
    """For a time with its unit, as Kubernetes and others write it."""
    found = _TIME.fullmatch(text)
    if found is None:
        return ""
    seconds = float(found[1]) * _UNITS[found[2]]
    of_time = (each for each in _options(wanted) if isinstance(each, inspect.FloatType) and each.le == LONGEST)
    return f"write the seconds without a unit: {seconds:.15g}" if any(_fits(seconds, each) for each in of_time) else ""


def _kind(node: Node) -> str:
    """What it is, without what it says."""
    match node:
        case Leaf(value=Ambiguous()):
            return "a word that YAML may read as something else"
        case Leaf(value=str()):
            return "another text"
        case Leaf(value=int() | float()):
            return "a number"
        case _:
            return _found(node)


def _describe(wanted: inspect.Type) -> str:
    match wanted:
        case inspect.StructType():
            return "a mapping of keys"
        case inspect.DictType():
            return "a mapping of names to values"
        case inspect.ListType():
            return "a list"
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return f"a whole number{_range(wanted)}"
        case inspect.FloatType():
            return f"a number{_range(wanted)}"
        case inspect.StrType():
            return _describe_text(wanted)
        case _:
            return "something else"


def _describe_text(wanted: inspect.StrType) -> str:
    words = PATTERNS.get(wanted.pattern or "", "text")
    if wanted.max_length is not None:
        return f"{words}, at most {wanted.max_length} characters long"
    return words


def _range(wanted: inspect.IntType | inspect.FloatType) -> str:
    bounds = [
        f"{words} {bound:.10g}"
        for words, bound in (
            ("from", wanted.ge),
            ("above", wanted.gt),
            ("up to", wanted.le),
            ("below", wanted.lt),
        )
        if bound is not None
    ]
    return f" {' '.join(bounds)}" if bounds else ""


def _found(node: Node) -> str:
    match node:
        case Mapping():
            return "a mapping of keys"
        case Items():
            return "a list"
        case Leaf(value=None):
            return "empty"
        case Leaf(value=Ambiguous()):
            return f"{shown(node.text)}, which YAML may read as something else"
        case Leaf(value=str(text)):
            return f"the text {shown(text)!r}"
        case Leaf():
            return f"the number {node.text}"


def _where(at: At) -> str:
    """``services[1].probes.startup`` as people say it; the whole file for the root."""
    words = ""
    for step in at:
        words += f"[{step + 1}]" if isinstance(step, int) else f".{step}"
    return words.removeprefix(".") or "the file"


def _quoted(names: Iterable[str]) -> str:
    return " and no ".join(repr(name) for name in names)
