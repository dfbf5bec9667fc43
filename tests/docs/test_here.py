"""The pages about one machine, read from top to bottom in a clean folder: each command ends as the page says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.docs.kit import ROOT, Reader, commands, environment
from tests.docs.register import ELSEWHERE, HERE, NOT_RUN, bare
from tests.local.dataplane_kit import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.local, pytest.mark.slow, pytest.mark.soak, pytest.mark.timeout(1800)]

PORTS = ("8001", "8002")
"""What the pages say; others that are free are typed instead, for somebody may use them on this machine."""

PATIENT = {"p95_overhead_ms: 500": "p95_overhead_ms: 5000"}
"""Half a second in which a machine that is busy with other suites does nothing is no slowness of the page's service."""


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """In the checkout, as after make; what a page leaves running is ended."""
    words = {**dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True)), **PATIENT}
    reader = Reader(ROOT, words=words, environment=environment(tmp_path))
    try:
        yield reader
    finally:
        reader.last_wish("cd ~/shop && bluegreen down --purge")


@pytest.mark.parametrize("page", HERE)
def test_the_page_does_what_it_says(page: str, reader: Reader) -> None:
    for command in commands(ROOT / page, *HERE[page]):
        if bare(command.text) not in {*ELSEWHERE, *NOT_RUN}:
            reader.do(command)
