"""Who runs the commands of each page, and how its sections are chosen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

HERE: Final[Mapping[str, tuple[str, ...]]] = {
    "README.md": ("A stack of your own, on this machine",),
    "docs/tutorial.md": (),
}
"""Pages whose commands test_here.py runs on this machine; of some of them only these sections."""

ON_A_CLUSTER: Final = ("docs/tutorial-kubernetes.md",)
"""Pages whose commands test_on_a_cluster.py runs on the testbed."""

SUITES: Final[Mapping[str, str]] = {
    "docs/kubernetes.md": "tests/kubernetes/test_spec_commands.py",
    "docs/prometheus.md": "tests/kubernetes/test_prometheus.py",
    "docs/testbed.md": "tests/testbed/test_lifecycle.py",
    "examples/alfred/README.md": "tests/examples/test_images.py",
    "docs/helm.md": "tests/kubernetes/chart_docs.py",
}
"""Pages whose commands a suite of their own runs; it names the page."""

ELSEWHERE: Final[Mapping[str, str]] = {
    "make demo": "tests/system/test_demo.py",
    "bluegreen doctor --namespace shop": "tests/kubernetes/test_doctor.py",
    "bluegreen doctor --output json": "tests/kubernetes/test_doctor.py",
}
"""Commands that another test runs, which says so: it names the command."""

NOT_RUN: Final[Mapping[str, str]] = {
    "make test": "it is what runs all this",
}
"""Commands that nothing runs, each with the reason."""


def bare(text: str) -> str:
    """A command without its comment."""
    return re.sub(r"\s+#.*$", "", text)
