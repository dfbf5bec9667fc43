"""The layout: nothing is cut, nothing steers the terminal, times read well."""

from __future__ import annotations

import pytest

from bluegreen.cli.views.paper import Paper, clean, count, moment, seconds


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (0, "0 s"),
        (0.0004, "0.01 s"),
        (0.004, "0.01 s"),
        (0.08, "0.08 s"),
        (0.123, "0.12 s"),
        (0.3, "0.3 s"),
        (0.999, "1 s"),
        (1, "1 s"),
        (1.84, "1.8 s"),
        (2.5, "2.5 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (12.3, "12 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (150, "2 min 30 s"),
        (149.9999, "2 min 30 s"),
        (3600, "1 h"),
        (3900, "1 h 5 min"),
    ],
)
def test_seconds(duration: float, words: str) -> None:
    assert seconds(duration) == words


def test_small_words() -> None:
    assert [count(1, "request"), count(0, "error"), count(1204, "request")] == [
        "1 request",
        "0 errors",
        "1,204 requests",
    ]
    assert moment(0) == "1970-01-01 00:00:00Z"


def test_a_field_wraps_beside_its_label_and_has_its_time_at_the_end() -> None:
    lines = Paper(width=60).field(
        " 3 validate", "backend 2/2 ready, gateway 2/2 ready and one more word", right="1.8 s"
    )

    assert lines == [
        " 3 validate   backend 2/2 ready, gateway 2/2 ready and one",
        "              more word                                1.8 s",
    ]
    assert max(map(len, lines)) <= 60


def test_a_time_that_does_not_fit_gets_its_own_line() -> None:
    assert Paper(width=30).text("exactly twenty-six columns", right="1.8 s") == [
        "    exactly twenty-six columns",
        "                         1.8 s",
    ]


def test_a_long_label_stands_alone() -> None:
    assert Paper(width=60).field("   a-service-with-a-name", "text") == [
        "   a-service-with-a-name",
        "              text",
    ]


def test_a_narrow_terminal_gets_less_indentation_and_all_the_words() -> None:
    text = "waiting for alfred-gateway 1/2 ready (readiness: GET /ready answered 503), 4 s of 2 min 30 s"
    for width in (10, 20, 30, 40, 59, 60, 80):
        lines = Paper(width=width).field(" 3 validate", text)
        assert " ".join(" ".join(lines).split()) == f"3 validate {text}"


def test_a_number_and_its_unit_stay_in_one_line() -> None:
    text = "waiting for green, 14 s of 2 min 30 s, 12 ms, 1 % of 3 services"
    for width in range(20, 80):
        lines = [line.strip() for line in Paper(width=width).text(text)]
        assert " ".join(lines) == text
        assert not [line for line in lines if line.startswith(("s ", "s,", "min", "ms", "%"))]


def test_a_word_longer_than_the_line_stays_whole() -> None:
    reference = "registry.example/team/backend@sha256:" + "0123456789abcdef" * 4

    assert Paper(width=40).text(f"image {reference} is there") == [
        "    image",
        f"    {reference}",
        "    is there",
    ]


def test_control_characters_are_shown_and_never_sent() -> None:
    assert clean("plain") == "plain"
    assert clean("a\x1b[2Jb\rc\td\ne\x9bf") == "a\\x1b[2Jb\\rc d e\\x9bf"
    assert Paper().quote(["ok", "\x1b[31mred", ""]) == [
        "              | ok",
        "              | \\x1b[31mred",
        "              |",
    ]


def test_colour_only_when_there_is_some() -> None:
    assert Paper().field("why", "text", style="red") == ["why           text"]
    assert Paper(colour=True).field("why", "text", style="red") == ["\x1b[31mwhy\x1b[0m           text"]
