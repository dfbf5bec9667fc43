"""The commands of docs/helm.md, as they stand there, run on a stack of a test."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.kubernetes.chart_kit import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_harness import ClusterStack

PAGE = ROOT / "docs" / "helm.md"
_BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(heading: str) -> list[list[str]]:
    """The blocks of commands below a heading, a list of lines each."""
    (section,) = (part for part in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE) if part.startswith(heading))
    return [[line for line in block.replace("\\\n", " ").splitlines() if line] for block in _BLOCK.findall(section)]


class Reader:
    """Does what the page says, with the test's namespace, Helm and version instead of the page's."""

    def __init__(self, stack: ClusterStack, *, tag: str) -> None:
        """``tag``: for the version on the page."""
        self._stack = stack
        self._tag = tag

    def do(self, lines: list[str]) -> None:
        """Run them one after the other. Raises AssertionError, with what it said, for the first that fails."""
        for line in lines:
            done = self._stack.cluster.run(["sh", "-ec", f"cd '{ROOT}'\n{self._here(line)}"], limit=120)
            assert done.returncode == 0, f"{line}\n{done.stderr}"

    def _here(self, line: str) -> str:
        named = line.replace("-n alfred", f"-n {self._stack.namespace}").replace(":v2.1.0", f":{self._tag}")
        return re.sub(r"^helm ", f"{self._stack.helm} ", named)


def counted(blocks: list[list[str]], sizes: list[int]) -> Iterator[list[str]]:
    """The blocks, if the page has as many commands in each as the test knows of: else the test is an old one."""
    assert [len(block) for block in blocks] == sizes
    return iter(blocks)
