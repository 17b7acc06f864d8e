"""The `etalage` command."""

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def main() -> None:
    """Decide what goes in the shop window: from raw logs to measured, served recommendations."""
