"""The plan's folder, said as FOLDER or with --plan: whoever knows one of them need not look the other up."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from pathlib import Path
from typing import Any, TypeVar, cast

import click

F = TypeVar("F", bound=Callable[..., Any])


def plan_too(command: F) -> F:
    """Give a command that takes FOLDER the option ``--plan`` as well. Stands below its other options."""

    def with_plan(*args: Any, folder: Path | None, plan: Path | None, **kwargs: Any) -> Any:
        return command(*args, folder=one_of(folder, plan), **kwargs)

    option = click.option("--plan", type=click.Path(path_type=Path), metavar="DIR", help="The same as FOLDER.")
    return cast(F, option(update_wrapper(with_plan, command)))


def one_of(folder: Path | None, plan: Path | None) -> Path | None:
    """The folder that was said. Raises UsageError for two."""
    if folder is not None and plan is not None and folder != plan:
        raise click.UsageError(f"Say the plan's folder once: {folder} or --plan {plan}.")
    return folder if folder is not None else plan
