"""How to call this program from here: the words that a command line we suggest begins and ends with.

The rest of the program says ``bluegreen rollback``, whoever runs it. A person who runs the deployment script has no
``bluegreen`` on the PATH, and a person who named a namespace on the command line must name it again. So text is told
through ``Program.said``, and every command line in it works as it stands. JSON keeps the plain name, for
programs; what to do about an error is told there as it is to a person.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

NAME: Final = "bluegreen"
VARIABLE: Final = "BLUEGREEN_PROGRAM"
"""The environment variable by which a script that deploys with us says its own name, as its user typed it. Its first
word is a command, or there is none, and it deploys."""

GLUE: Final = "\N{NO-BREAK SPACE}"
"""Between the words of a command line while a text is wrapped: one that is broken cannot be copied."""

REPEATED: Final = ("--platform", "--namespace", "--context", "--state")
"""Options with a value that say which stack is meant: where a command line named one, the next one must, too."""
FLAGS: Final = ("--direct",)
"""The same, without a value."""
APP: Final = "--app"
"""The same on Kubernetes; what runs on one machine is known to its state folder."""
_PLACE: Final = ("--namespace", "--context")
"""With either of them it is on Kubernetes, unless the platform is named."""

_DEPLOY: Final = "deploy"
_PLAIN_WORD: Final = re.compile(r"[\w./:=-]+", re.ASCII)
"""What no shell reads as anything else."""
_COMMAND: Final = re.compile(
    rf"(?<![\w./-]){NAME} (up|down|{_DEPLOY}|rollback|status|history|show|logs|verify|doctor)(?![\w./-])"
    r"((?: --[a-z-]+(?:[ =](?:blue|green|SLOT))?)*)"
)
"""Commands that are about one stack, with their options; our name followed by anything else is no command line."""

_OTHERS: Final = re.compile(r"(?:^|(?<=: ))(?:kubectl|helm|mkdir|\S+ -m pip) [^;]+(?=;|$)")
"""A command line of another program: a whole text or what follows a colon, up to a semicolon or the end."""

_KUBECTL: Final = (
    r"(?<![\w./-])kubectl(?= (?:cluster-info\b|(?:annotate|auth|create|delete|describe|edit|expose|get|label|logs|"
    r"patch|rollout|scale|set) [\w-]))(?! describe (?:does|shows) )"
)
_HELM: Final = r"(?<![\w./-])helm(?= (?:upgrade|install) -)"
"""Their command lines, not where a sentence speaks of them. Compiled where they are needed: a rollback seldom does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The name to call it by, and the options that every further command of this user needs."""

    name: str = NAME
    options: tuple[str, ...] = ()
    context: str = ""
    """The kubeconfig's, where one is named: else kubectl would write into whatever cluster its current one is."""

    def said(self, text: str, *, glue: str = " ") -> str:
        """The text with each command line as it has to be typed here, its words joined by ``glue``."""
        if NAME in text:
            text = _COMMAND.sub(lambda found: glue.join(self._typed(found)), text)
        if self.context:
            text = re.sub(_KUBECTL, lambda _: f"kubectl --context {quoted(self.context)}", text)
            text = re.sub(_HELM, lambda _: f"helm --kube-context {quoted(self.context)}", text)
        return text if glue == " " else _OTHERS.sub(lambda found: found[0].replace(" ", glue), text)

    def _typed(self, found: re.Match[str]) -> Iterator[str]:
        command, options = found[1], found[2].split()
        yield quoted(self.name)
        follows = found.string.startswith((" -", " [OPTIONS]"), found.end(1))
        if self.name == NAME or command != _DEPLOY or not follows:
            yield command
        yield from map(quoted, self.options)
        yield from options


PLAIN: Final = Program()


def quoted(word: str) -> str:
    """The word as a shell takes it."""
    if _PLAIN_WORD.fullmatch(word):
        return word
    import shlex

    return shlex.quote(word)


def program_of(words: Sequence[str], environment: Mapping[str, str]) -> Program:
    """What the bare words of a command line and the environment say. The words may be wrong in any way."""
    name = environment.get(VARIABLE, "").strip()
    return Program(
        name=name or NAME,
        options=tuple(_repeated(words, environment)),
        context=_said(words, environment, "--context"),
    )


def _said(words: Sequence[str], environment: Mapping[str, str], option: str) -> str:
    """What the line says of it, else the environment."""
    variable = f"{NAME}_{option.removeprefix('--')}".upper()
    return peek(words, option) or environment.get(variable, "")


def _repeated(words: Sequence[str], environment: Mapping[str, str]) -> Iterator[str]:
    platform = _said(words, environment, "--platform")
    placed = any(_said(words, environment, option) for option in _PLACE)
    cluster = platform == "kubernetes" or (not platform and placed)
    for option in (*REPEATED, APP) if cluster else REPEATED:
        value = peek(words, option)
        if value is not None:
            yield from (option, value)
    yield from (flag for flag in FLAGS if flag in words)


def peek(words: Iterable[str], option: str) -> str | None:
    """The value of an option in a command line that is not parsed yet, or that cannot be; the last one counts."""
    found, here = None, False
    for word in words:
        if here:
            found, here = word, False
        elif word == option:
            here = True
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found
