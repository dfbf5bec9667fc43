"""The report's charts as SVG elements for a page, by pygal, which is imported only here.

A chart is a picture: no script, no font and no address of elsewhere. Its colours are the page's own (CSS variables), so
that it follows light, dark and paper. What it shows stands in a table beside it.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from bluegreen.domain.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.release import PhaseTime, Sample

WIDTH: Final = 540
HEIGHT: Final = 230
"""So that its words can be read in the width of a phone."""
_INK: Final = "var(--ink)"
_QUIET: Final = "var(--quiet)"
_CLEAR: Final = "transparent"


def require() -> None:
    """Raise UsageError when the library is not installed."""
    try:
        _pygal()
    except ImportError as error:
        raise UsageError(
            "--output html draws its charts with pygal, which is not installed",
            mend=f"{sys.executable} -m pip install pygal; or take --output markdown, which needs nothing",
        ) from error


def requests_chart(samples: Sequence[Sample], *, start: float) -> str:
    """Requests and errors a second between the looks; ``start``: seconds since 1970 that the x axis counts from."""
    chart = _xy(x_title="seconds since the switch", y_title="a second")
    chart.add("requests", [(_middle(a, b, start), _rate(a.requests, b.requests, a, b)) for a, b in pairwise(samples)])
    chart.add("5xx", [(_middle(a, b, start), _rate(a.errors, b.errors, a, b)) for a, b in pairwise(samples)])
    return _svg(chart)


def slow_chart(samples: Sequence[Sample], *, start: float, limit: float) -> str:
    """The share of requests over the time limit between the looks, in percent, beside its ``limit`` (0.05 is 5 %)."""
    chart = _xy(x_title="seconds since the switch", y_title="%")
    points = [
        (_middle(a, b, start), 100 * (b.slow - a.slow) / (b.timed - a.timed))
        for a, b in pairwise(samples)
        if b.timed > a.timed
    ]
    chart.add("over the limit", points)
    ends = [points[0][0], points[-1][0]] if points else []
    chart.add("allowed", [(x, 100 * limit) for x in ends])
    return _svg(chart)


def phases_chart(phases: Sequence[PhaseTime], *, start: float) -> str:
    """When each phase ran, a bar each, from the top down."""
    style = _style(colors=(_CLEAR, "var(--first)"))
    chart = _pygal().HorizontalStackedBar(
        _config(), style=style, height=60 + 34 * len(phases), show_legend=False, x_title="seconds since it began"
    )
    rows = list(reversed(phases))
    chart.x_labels = [phase.phase for phase in rows]
    chart.add("", [max(0.0, phase.at - start) for phase in rows])
    chart.add("took", [phase.took or phase.lasted or 0.0 for phase in rows])
    return _svg(chart)


def _pygal() -> Any:  # noqa: ANN401 - it has no types
    """The library, without the hook that it puts into Python's imports: it is of a kind that Python warns of."""
    try:
        import pygal
    except ImportError:
        if not sys.flags.no_site:
            raise
        _see_packages()
        import pygal

    sys.meta_path[:] = [hook for hook in sys.meta_path if type(hook).__module__ != "pygal"]
    return pygal


def _see_packages() -> None:
    """Let what is installed for this Python be found: the deployment script runs us without it."""
    import site

    site.main()
    site.addsitedir(site.getusersitepackages())


def _middle(before: Sample, now: Sample, start: float) -> float:
    return (before.at + now.at) / 2 - start


def _rate(before: int, now: int, a: Sample, b: Sample) -> float:
    return max(0, now - before) / max(0.001, b.at - a.at)


def _xy(*, x_title: str, y_title: str) -> Any:  # noqa: ANN401 - pygal has no types
    style = _style(colors=("var(--first)", "var(--second)"))
    return _pygal().XY(_config(), style=style, height=HEIGHT, x_title=x_title, y_title=y_title, include_x_axis=True)


def _config() -> Any:  # noqa: ANN401
    return _pygal().Config(
        js=[],
        width=WIDTH,
        explicit_size=False,
        show_dots=True,
        dots_size=2,
        range_min=0,
        legend_at_bottom=True,
        legend_box_size=10,
        margin=8,
        no_data_text="nothing was counted",
        pretty_print=False,
        disable_xml_declaration=True,
        value_formatter=lambda value: f"{value:,.4g}",
        x_value_formatter=lambda value: f"{value:,.4g}",
    )


def _style(*, colors: tuple[str, ...]) -> Any:  # noqa: ANN401
    from pygal.style import Style

    font = "system-ui, sans-serif"
    sizes = dict.fromkeys(("label", "major_label", "legend", "title", "tooltip", "value", "no_data"), 13)
    return Style(
        background=_CLEAR,
        plot_background=_CLEAR,
        foreground=_INK,
        foreground_strong=_INK,
        foreground_subtle=_QUIET,
        guide_stroke_color=_QUIET,
        major_guide_stroke_color=_QUIET,
        opacity="1",
        opacity_hover="1",
        transition="0s",
        font_family=font,
        colors=colors,
        **{f"{name}_font_size": size for name, size in sizes.items()},
        **{f"{name}_font_family": font for name in sizes},
    )


def _svg(chart: Any) -> str:  # noqa: ANN401
    """The chart as an element of a page: without the script that pygal adds for its own tooltips, and its comment."""
    from xml.etree import ElementTree as ET

    root = chart.render_tree()
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag is ET.Comment or str(child.tag).rpartition("}")[2] == "script":
                parent.remove(child)
    return ET.tostring(root, encoding="unicode")
