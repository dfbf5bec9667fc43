"""Exact probabilities, beside whole-number arithmetic."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.domain.odds import at_least, at_most, more_needed, worse_by_chance


def exactly_worse(bad: int, of: int, old_bad: int, old_of: int) -> Fraction:
    """P(so many or more of all the bad ones are among the first), in whole numbers."""
    all_bad = bad + old_bad
    ways = (comb(of, k) * comb(old_of, all_bad - k) for k in range(bad, min(of, all_bad) + 1))
    return Fraction(sum(ways), comb(of + old_of, all_bad))


@given(st.integers(1, 60), st.integers(0, 60), st.integers(1, 60), st.integers(0, 60))
def test_fisher_agrees_with_exact_arithmetic(of: int, bad: int, old_of: int, old_bad: int) -> None:
    bad, old_bad = min(bad, of), min(old_bad, old_of)
    expected = float(exactly_worse(bad, of, old_bad, old_of))
    assert worse_by_chance(bad=bad, of=of, old_bad=old_bad, old_of=old_of) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [((10, 1000), (0, 1000), 0.00096), ((60, 1000), (60, 1000), 0.537), ((0, 0), (5, 10), 1.0), ((5, 10), (0, 0), 1.0)],
)
def test_fisher(new: tuple[int, int], old: tuple[int, int], expected: float) -> None:
    found = worse_by_chance(bad=new[0], of=new[1], old_bad=old[0], old_of=old[1])
    assert found == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    ("k", "of", "share", "most", "least"),
    [
        (-1, 10, 0.5, 0.0, 1.0),
        (0, 10, 0.0, 1.0, 1.0),
        (1, 10, 0.0, 1.0, 0.0),
        (9, 10, 1.0, 0.0, 1.0),
        (10, 10, 1.0, 1.0, 1.0),
        (11, 10, 0.5, 1.0, 0.0),
    ],
)
def test_the_ends(k: int, of: int, share: float, most: float, least: float) -> None:
    assert (at_most(k, of=of, share=share), at_least(k, of=of, share=share)) == (most, least)


@pytest.mark.parametrize(
    ("k", "of", "share"), [(15_000, 300_000, 0.01), (10_500, 1_000_000, 0.01), (9_500, 1_000_000, 0.01)]
)
def test_large_windows_are_judged_as_exactly(k: int, of: int, share: float) -> None:
    assert at_most(k - 1, of=of, share=share) + at_least(k, of=of, share=share) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    ("bad", "of", "more"), [(0, 0, 459), (0, 100, 359), (0, 458, 1), (1, 20, 642), (3, 1000, 1), (2, 1000, 0)]
)
def test_how_many_more_would_do(bad: int, of: int, more: int) -> None:
    assert more_needed(bad=bad, of=of, limit=0.01, significance=0.01) == more
    assert at_most(bad, of=of + more, share=0.01) < 0.01
    assert not more or at_most(bad, of=of + more - 1, share=0.01) >= 0.01


def test_no_number_shows_that_a_share_is_under_nothing() -> None:
    assert more_needed(bad=0, of=10, limit=0.0, significance=0.01) is None
