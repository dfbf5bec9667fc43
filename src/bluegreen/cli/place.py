"""Where a value was given that is refused: on the line, or in the environment, where nobody sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.core import ParameterSource

if TYPE_CHECKING:
    import click


def said_of(parameter: click.Parameter | None, context: click.Context | None) -> str:
    """The option whose value it is, or the variable of the environment that stands for it."""
    if parameter is None:
        return "the value"
    name = str(parameter.name)
    if context is not None and context.get_parameter_source(name) is ParameterSource.ENVIRONMENT:
        return f"{context.auto_envvar_prefix}_{name.upper()}"
    return max(parameter.opts, key=len)
