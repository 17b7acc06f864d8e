"""The `etalage` command."""

from typing import Any

import typer
from typer.core import TyperGroup

from etalage.cli import calibrate, creative, data, jobs, knowledge, memory, reproduce
from etalage.cli.doctor import doctor
from etalage.cli.tune import tune
from etalage.errors import EtalageError, missing_extra


class _Command(TyperGroup):
    """Ends with a message instead of a traceback where a user can mend what went wrong."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except EtalageError as error:
            raise _said(error) from error
        except ModuleNotFoundError as error:
            missing = missing_extra(error)
            if missing is None:
                raise
            raise _said(missing) from error


def _said(error: EtalageError) -> typer.Exit:
    typer.secho(f"error: {error}", err=True, fg="red")
    return typer.Exit(1)


app = typer.Typer(
    cls=_Command, no_args_is_help=True, add_completion=False, rich_markup_mode="markdown"
)
app.add_typer(data.app, name="data")
app.add_typer(calibrate.app, name="calibrate")
app.add_typer(knowledge.app, name="knowledge")
app.add_typer(memory.app, name="memory")
app.add_typer(creative.app, name="creative")
app.add_typer(reproduce.app, name="reproduce")
for command in (
    *(jobs.demo, jobs.train, tune, jobs.tokenize, jobs.export, jobs.report, jobs.serve),
    doctor,
):
    app.command()(command)


@app.callback()
def main() -> None:
    """Decide what goes in the shop window: from raw logs to measured, served recommendations."""
