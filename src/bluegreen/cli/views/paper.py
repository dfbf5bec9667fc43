"""How text is laid out: words into lines of a width, labels in a column, times that people can read.

Nothing is ever cut: what does not fit goes on in the next line, and a word longer than the line stays whole, so that a
path or an image reference can be copied. No cursor is moved and no line is drawn twice, so a pipe, a build log and a
terminal get the same text.
"""

from __future__ import annotations

import re
import time
from textwrap import wrap
from typing import TYPE_CHECKING

from bluegreen.cli.program import GLUE, PLAIN, Program
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bluegreen.domain.stack import Seconds

LABEL = 14
"""Columns of the label."""

NARROW = 60
"""Below this width a line that goes on is indented less."""

NARROW_INDENT = 4
NARROWEST = 20

_UNIT = re.compile(r"(?<=\d) (?=(?:s|ms|min|h|%)(?![\w-]))")
"""Between a number and its unit, which stay in one line."""

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What is written on: how wide, whether in colour, and by which name its reader calls us."""

    width: int = 80
    colour: bool = False
    program: Program = PLAIN

    @property
    def indent(self) -> int:
        """Columns before text that belongs to a label above it."""
        return LABEL if self.width >= NARROW else NARROW_INDENT

    def paint(self, text: str, style: str) -> str:
        """The text in this style, when there is colour."""
        if not self.colour or not style:
            return text
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m"

    def field(self, label: str, text: str, *, right: str = "", style: str = "") -> list[str]:
        """A label, its text wrapped beside it, and something short at the right end; ``style`` is the label's."""
        head = f"{clean(label):<{LABEL}}"
        lines = self._wrapped(text, head)
        if right:
            lines = self._with_right(lines, right)
        bare = head.rstrip()
        if bare and style:
            lines[0] = self.paint(bare, style) + lines[0][len(bare) :]
        return lines

    def text(self, text: str, *, right: str = "", style: str = "") -> list[str]:
        """Text that belongs to the label above it."""
        lines = self._wrapped(text, " " * self.indent)
        if right:
            lines = self._with_right(lines, right)
        return [self.paint(line, style) for line in lines]

    def paragraph(self, text: str, *, indent: int = 0, style: str = "") -> list[str]:
        """Text across the whole width; what goes on in the next line is indented by two more."""
        lines = self._wrapped(text, " " * indent, rest=indent + 2)
        return [self.paint(line, style) for line in lines]

    def line(self, text: str) -> str:
        """Text that is not wrapped."""
        return self.program.said(clean(text))

    def quote(self, lines: Iterable[str]) -> list[str]:
        """Lines of somebody else, such as a log's: as they are, never wrapped."""
        return [f"{' ' * self.indent}| {clean(line)}".rstrip() for line in lines]

    def _wrapped(self, text: str, head: str, *, rest: int | None = None) -> list[str]:
        """Wrap behind ``head``; a head that leaves no room for words stands alone."""
        indent = " " * (self.indent if rest is None else rest)
        width = max(self.width, NARROWEST)
        if head and not head.endswith(" "):
            return [head.rstrip(), *self._wrapped(text, indent, rest=rest)]
        lines = wrap(
            _UNIT.sub(GLUE, self.program.said(clean(text), glue=GLUE)),
            width,
            initial_indent=head,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        return [line.replace(GLUE, " ") for line in lines] or [head.rstrip()]

    def _with_right(self, lines: list[str], right: str) -> list[str]:
        last = lines[-1]
        if len(last) + 2 + len(right) > self.width:
            return [*lines, right.rjust(self.width)]
        return [*lines[:-1], last + right.rjust(self.width - len(last))]


def clean(text: str) -> str:
    """The text without control characters: what a program or a pod says must not steer the terminal."""
    if text.isprintable():
        return text
    return "".join(_visible(char) for char in text)


def _visible(char: str) -> str:
    if char.isprintable():
        return char
    if char in "\n\t":
        return " "
    return char.encode("unicode_escape").decode("ascii")


def seconds(duration: Seconds) -> str:
    """``0.08 s``, ``1.8 s``, ``12 s``, ``2 min 30 s``, ``1 h 5 min``. What took any time never reads 0."""
    if duration <= 0:
        return "0 s"
    if duration < 0.995:
        return f"{max(duration, 0.01):.2f}".rstrip("0") + " s"
    if duration < 9.95:
        return f"{duration:.1f}".removesuffix(".0") + " s"
    whole = round(duration)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two(whole, "min", 60, "s")
    return _two(round(whole / 60), "h", 60, "min")


def _two(small: int, big_unit: str, factor: int, small_unit: str) -> str:
    big, rest = divmod(small, factor)
    return f"{big} {big_unit} {rest} {small_unit}" if rest else f"{big} {big_unit}"


def moment(at: float) -> str:
    """Seconds since 1970 as a date and time, in UTC so that two machines' records can be laid side by side."""
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(at))


def count(number: int, what: str) -> str:
    """``1 request``, ``1,204 requests``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
