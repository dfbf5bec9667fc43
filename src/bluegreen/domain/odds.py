"""Exact probabilities of counts: how often chance alone would do as much. Nothing here is approximated by a curve.

The sums start at the count in question and go away from the bulk, term by term from the one before, until a term adds
nothing: so a window of a million requests costs no more than one of a thousand.
"""

from __future__ import annotations

from math import exp, lgamma, log, log1p

_NOTHING = 1e-17
"""A term of this share of the sum changes no digit of it."""


def at_most(k: int, *, of: int, share: float) -> float:
    """Probability of ``k`` or fewer successes in ``of`` trials (exact binomial)."""
    if share <= 0 or k >= of:
        return 1.0
    if share >= 1 or k < 0:
        return 0.0
    if k > of * share:
        return max(0.0, 1.0 - _upper(k + 1, of=of, share=share))
    return _lower(k, of=of, share=share)


def at_least(k: int, *, of: int, share: float) -> float:
    """Probability of ``k`` or more successes in ``of`` trials (exact binomial)."""
    if k <= 0:
        return 1.0
    if share <= 0 or k > of:
        return 0.0
    if share >= 1:
        return 1.0
    if k > of * share:
        return _upper(k, of=of, share=share)
    return max(0.0, 1.0 - _lower(k - 1, of=of, share=share))


def _upper(k: int, *, of: int, share: float) -> float:
    """From ``k`` upwards, for a ``k`` above the mean: the terms fall."""
    odds = share / (1.0 - share)
    term = total = _binomial(k, of=of, share=share)
    while k < of and term > total * _NOTHING:
        term *= (of - k) / (k + 1) * odds
        total += term
        k += 1
    return min(1.0, total)


def _lower(k: int, *, of: int, share: float) -> float:
    """From ``k`` downwards, for a ``k`` that is not above the mean: the terms fall."""
    odds = (1.0 - share) / share
    term = total = _binomial(k, of=of, share=share)
    while k > 0 and term > total * _NOTHING:
        term *= k / (of - k + 1) * odds
        total += term
        k -= 1
    return min(1.0, total)


def _binomial(k: int, *, of: int, share: float) -> float:
    return exp(_ways(of, k) + k * log(share) + (of - k) * log1p(-share))


def _ways(of: int, k: int) -> float:
    """The logarithm of the number of ways to choose ``k``."""
    return lgamma(of + 1) - lgamma(k + 1) - lgamma(of - k + 1)


def worse_by_chance(*, bad: int, of: int, old_bad: int, old_of: int) -> float:
    """Probability that so many or more of all the bad ones fall to the first lot, were both equally bad.

    Fisher's exact test, one-sided. 1 where one of the lots is empty: then nothing can be compared.
    """
    if not of or not old_of:
        return 1.0
    all_bad, everything = bad + old_bad, of + old_of
    top = min(of, all_bad)
    k = bad
    term = result = exp(_ways(of, k) + _ways(old_of, all_bad - k) - _ways(everything, all_bad))
    while k < top:
        term *= (of - k) * (all_bad - k) / ((k + 1) * (old_of - all_bad + k + 1))
        result += term
        k += 1
        if term < result * _NOTHING:
            break
    return min(1.0, result)


def more_needed(*, bad: int, of: int, limit: float, significance: float) -> int | None:
    """How many more trials, none of them bad, would show that the share is under the limit.

    None: no number of trials can, for the limit is nothing.
    """
    if limit <= 0:
        return None
    low, high = of, max(of, 1)
    while at_most(bad, of=high, share=limit) >= significance:
        low, high = high, high * 2
    while low + 1 < high:
        middle = (low + high) // 2
        if at_most(bad, of=middle, share=limit) < significance:
            high = middle
        else:
            low = middle
    return high - of
