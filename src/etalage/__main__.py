"""`python -m etalage` is the `etalage` command."""

from etalage.cli.main import app

app()
