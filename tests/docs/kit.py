"""The commands of the docs: found in their pages, and run as a reader types them, in one shell from top to bottom.

A fenced block marked ``sh``, ``bash`` or ``console`` holds commands; in ``console`` each begins with ``$`` and is
followed by what it prints, as far as that is shown. A comment that ends in ``exit N`` says how a command ends that does
not end well. What is shown is compared in its stable parts: figures, names of runs and ports may differ.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("README.md")])
SHELL = ("sh", "bash", "console")
LIMIT = 400.0
"""Seconds; no command of a page takes longer, on a busy machine either."""

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HERE = re.compile(r"<<'?(\w+)'?")
_EXIT = re.compile(r"#.*\bexit (\d+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of a page."""

    text: str
    """As it is typed, with its here-document."""
    shown: tuple[str, ...] = ()
    """The lines that the page shows of its output."""

    @property
    def code(self) -> int:
        """How it ends."""
        found = _EXIT.search(self.text.splitlines()[0])
        return int(found[1]) if found else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block."""

    language: str
    section: str
    """The nearest heading above it."""
    text: str

    @property
    def commands(self) -> tuple[Command, ...]:
        """Its commands; none where it is not for a shell."""
        if self.language == "console":
            return tuple(_of_a_console(self.text.splitlines()))
        return tuple(_of_a_script(self.text.splitlines())) if self.language in SHELL else ()


def blocks(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(language=found[1], section=_section(text[: found.start()]), text=found[2])
        for found in _BLOCK.finditer(text)
    ]


def _section(above: str) -> str:
    """The heading of the second or third level that is nearest, outside of blocks."""
    headings = re.findall(r"^##+ (.*)$", _BLOCK.sub("", above), re.MULTILINE)
    return str(headings[-1]) if headings else ""


def commands(page: Path, *sections: str) -> list[Command]:
    """The commands of a page, or of some of its sections, in order."""
    found = [block for block in blocks(page) if not sections or block.section in sections]
    assert not sections or {block.section for block in found} == set(sections), "the page has no such section"
    return [command for block in found for command in block.commands]


def _of_a_script(lines: Iterable[str]) -> Iterator[Command]:
    """A line each; with what follows a backslash, and with a here-document to its end."""
    waiting: list[str] = []
    end = ""
    for line in lines:
        if not waiting and (not line.strip() or line.startswith("#")):
            continue
        waiting.append(line)
        found = _HERE.search(line) if not end else None
        end = found[1] if found else end
        if line == end or not (end or line.endswith("\\")):
            yield Command(text="\n".join(waiting))
            waiting, end = [], ""
    assert not waiting, f"a command without its end: {waiting}"


def _of_a_console(lines: list[str]) -> Iterator[Command]:
    starts = [index for index, line in enumerate(lines) if line.startswith("$ ")]
    assert starts[:1] == [0], "a console block begins with a command"
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        shown = tuple(line for line in lines[start + 1 : end] if line.strip())
        yield Command(text=lines[start].removeprefix("$ "), shown=shown)


# --- running ----------------------------------------------------------------------------------------------------------


class Reader:
    """A person at a shell: one bash for a whole page, so that folders and variables stay from block to block."""

    def __init__(
        self,
        folder: Path,
        *,
        words: Mapping[str, str],
        environment: Mapping[str, str],
        shell: Sequence[str] = ("bash", "--norc"),
    ) -> None:
        """``words``: what to type in place of a page's own words, such as a port that is free."""
        self._words = words
        self._process = subprocess.Popen(
            list(shell),
            cwd=folder,
            env={**environment, "NO_COLOR": "1", "COLUMNS": "80"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def do(self, command: Command) -> str:
        """Type it; what it printed. Raises AssertionError when it ends otherwise than the page says."""
        text = self._here(command.text)
        self._type(f"{text}\nprintf '\\n%s %s\\n' {_MARK} $?\n")
        out, code = self._output()
        assert code == command.code, f"exit {code}, not {command.code}: {text}: {_last_words(out)}\n{text}\n{out}"
        shows(command.shown, out)
        return out

    def last_wish(self, text: str) -> None:
        """Type one thing more, however it ends; then end the shell, and what it has started in the background."""
        if self._process.poll() is None:
            self._type(f"{text}\nprintf '\\n%s %s\\n' {_MARK} 0\n")
            self._output()
        self.close()

    def close(self) -> None:
        """End the shell; what it has started in the background, too."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def _here(self, text: str) -> str:
        for word, instead in self._words.items():
            text = text.replace(word, instead)
        return text

    def _type(self, text: str) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(text)
        stdin.flush()

    def _output(self) -> tuple[str, int]:
        stdout: IO[str] | None = self._process.stdout
        assert stdout is not None
        started, lines = time.monotonic(), list[str]()
        for line in stdout:
            if line.startswith(_MARK):
                return "".join(lines), int(line.split()[1])
            lines.append(line)
            assert time.monotonic() - started < LIMIT, "".join(lines)
        raise AssertionError(f"the shell has ended:\n{''.join(lines)}")


_MARK = "----ended-with"


def _last_words(out: str) -> str:
    """The end of what was printed, in one line: a list of failed tests shows no more of a message."""
    return " / ".join(line.strip() for line in out.splitlines() if line.strip())[-600:]


def environment(home: Path) -> dict[str, str]:
    """That of somebody who has just arrived: nothing of whoever runs the tests but the way to the programs."""
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    return {"HOME": str(home), "PATH": path, "LC_ALL": "C.UTF-8", "TERM": "xterm"}


# --- comparing --------------------------------------------------------------------------------------------------------

_UNSTABLE = (
    (r"\br-[0-9a-z]{4,}\b|\bb-[0-9a-z]{4,}\b", "RUN"),
    (r"https?://127\.0\.0\.1:\d+|(?<=:)\d{4,5}\b", "ADDRESS"),
    (r"\d{4}-\d\d-\d\d|\d\d:\d\d(:\d\d)?", "TIME"),
    (r"\d+(\.\d+)? (?=(ms|s|min)\b)", "N "),
    (r"\b\d+ (?=(requests|answers|errors)\b)", "N "),
)


def shape(line: str) -> str:
    """The line's stable parts."""
    for pattern, instead in _UNSTABLE:
        line = re.sub(pattern, instead, line)
    return " ".join(line.split())


def shows(shown: Iterable[str], out: str) -> None:
    """That each shown line was printed, in this order; ``…`` stands for lines, or an end, that is left out."""
    printed = [shape(line) for line in out.splitlines()]
    for line in map(shape, shown):
        start = line.partition("…")[0].strip()
        while printed and not (printed[0] == line or ("…" in line and printed[0].startswith(start))):
            printed.pop(0)
        assert printed or line == "…", f"the page shows this, and it was not printed:\n{line}\nprinted:\n{out}"
        if line != "…":
            printed.pop(0)
