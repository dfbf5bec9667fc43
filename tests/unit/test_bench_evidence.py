"""The table of the window's operating characteristic is what the product's own rules make of drawn windows."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import pytest
from bench import evidence

from bluegreen.domain import judgement
from bluegreen.domain.finding import Outcome

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def test_it_asks_the_products_own_rules() -> None:
    names = vars(evidence)
    assert names["hard_triggers"] is judgement.hard_triggers
    assert names["judge"] is judgement.judge
    assert names["Window"] is judgement.Window


@pytest.mark.parametrize(("errors", "rate"), [(0.005, 1), (0.02, 10), (1.0, 100)])
def test_the_page_says_what_the_program_says(errors: float, rate: int) -> None:
    """Cells that are quickly drawn; the whole is `make bench-evidence`."""
    assert evidence.cell(errors=errors, rate=rate).row() in evidence.PAGE.read_text().splitlines()


def test_the_page_has_every_cell_once() -> None:
    page = evidence.PAGE.read_text()
    table = page.partition(evidence.BEGIN)[2].partition(evidence.END)[0].strip().splitlines()
    assert tuple(table[:2]) == evidence.HEAD
    cells = [tuple(line.strip("| ").split(" | ")[:2]) for line in table[2:]]
    assert cells == [(f"{errors:.1%}", f"{rate:,}") for errors in evidence.ERRORS for rate in evidence.RATES]


@pytest.mark.parametrize(
    ("errors", "rate", "least", "most"),
    [
        (0.0, 100, 0.0, 0.0),
        (0.005, 100, 0.0, 0.01),  # a good version fails in less than one of a hundred windows
        (0.01, 100, 0.0, 0.03),  # one at the limit itself hardly oftener: 1 % here, of 60 windows
        (0.05, 100, 1.0, 1.0),
        (1.0, 10, 1.0, 1.0),
    ],
)
def test_how_many_are_rolled_back(errors: float, rate: int, least: float, most: float) -> None:
    found = evidence.cell(errors=errors, rate=rate, windows=60)
    assert least <= found.rolled_back <= most


def test_what_is_bad_through_and_through_is_told_at_once() -> None:
    found = evidence.our_window(evidence.Chance("x"), errors=1.0, rate=1000)
    assert (found.outcome, found.after) == (Outcome.FAIL, evidence.LOOK)


@pytest.mark.parametrize(("of", "share"), [(10, 0.3), (1000, 0.01), (100_000, 0.2), (5000, 0.999)])
def test_drawn_counts_have_the_mean_and_the_spread_that_they_should(of: int, share: float) -> None:
    chance = evidence.Chance(f"{of} {share}")
    binomial = [chance.binomial(of, share) for _ in range(2000)]
    assert statistics.mean(binomial) == pytest.approx(of * share, abs=4 * (of * share * (1 - share) / 2000) ** 0.5)
    assert statistics.variance(binomial) == pytest.approx(of * share * (1 - share), rel=0.15)
    poisson = [chance.poisson(of * share) for _ in range(2000)]
    assert statistics.mean(poisson) == pytest.approx(of * share, abs=4 * (of * share / 2000) ** 0.5)
    assert statistics.variance(poisson) == pytest.approx(of * share, rel=0.15)


def test_only_the_table_is_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{evidence.BEGIN}\nold\n{evidence.END}\nafter\n")
    evidence.write(["| x |"], page)
    assert page.read_text() == "\n".join(["before", evidence.BEGIN, *evidence.HEAD, "| x |", evidence.END, "after", ""])
