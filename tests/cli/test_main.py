"""What one types, and what one reads when it was wrong."""

from pathlib import Path

from typer.testing import CliRunner

from etalage.cli.main import app


def test_data_is_described(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("user,item,time\na,x,1700000000\na,y,1700000060\nb,x,1700000090\n")
    result = CliRunner().invoke(app, ["data", "describe", str(log)])
    assert result.exit_code == 0
    assert "interactions" in result.output


def test_a_mistake_ends_in_a_message_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\n")
    result = CliRunner().invoke(app, ["data", "describe", str(tmp_path / "logs.csv")])
    assert result.exit_code == 1
    assert "error: no file" in result.output
    assert "did you mean 'log.csv'?" in result.output
    assert isinstance(result.exception, SystemExit)


def test_another_log_is_not_imported_over_a_dataset(tmp_path: Path) -> None:
    for name, rows in (("one", "a,x,1700000000\n"), ("other", "b,y,1700000000\n")):
        (tmp_path / f"{name}.csv").write_text("user,item,time\n" + rows)
    place = str(tmp_path / "shop")

    def imported(name: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["data", "import", str(tmp_path / name), place])
        return done.exit_code, done.output.replace("\n", " ")

    assert imported("one.csv")[0] == 0
    assert imported("one.csv")[0] == 0, "the same log may be read again"
    code, text = imported("other.csv")
    assert code == 1
    assert "holds a dataset from" in text
    assert "one.csv" in text
