"""`etalage calibrate`: fitted, applied and watched from the command line, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from etalage.calibrate.calibrator import sigmoid
from etalage.calibrate.simulated import distorted
from etalage.cli.main import app


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["calibrate", *(str(w) for w in words)])
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`old` and `new` of the same world, with text for values, one of which is missing at times."""
    place = tmp_path_factory.mktemp("scores")
    for name, rows in zip(("old", "new"), distorted(0, n_rows=30_000), strict=True):
        sites = [None if v == 3 else f"site {v}" for v in rows.values.tolist()]
        frame = pl.DataFrame(
            {"score": sigmoid(rows.logits), "label": rows.clicks, "site": sites,
             "truth": sigmoid(rows.truth)}
        )  # fmt: skip
        frame.write_parquet(place / f"{name}.parquet")
        frame.write_csv(place / f"{name}.csv")
    return place


def test_curves_by_value_are_fitted_reported_and_applied(tables: Path, tmp_path: Path) -> None:
    saved = tmp_path / "calibrator.json"
    picture = tmp_path / "reliability.svg"
    code, text = run("fit", tables / "old.parquet", saved, "--field", "site", "--picture", picture)
    assert code == 0, text
    assert "6,000 rows held out" in text
    assert "relative error by site" in text
    assert "fields, fitted to 30,000 rows" in text
    assert picture.read_text().startswith("<svg")
    assert "Largest values of site" in picture.read_text()
    page = tmp_path / "page.html"
    code, text = run("report", tables / "new.parquet", saved, "--picture", page)
    assert "All values of site" in page.read_text()
    assert "new.parquet: 30,000 rows" in page.read_text()
    assert code == 0, text
    assert "by chance alone" in text
    code, text = run("apply", tables / "new.csv", saved, tmp_path / "out.csv", "--column", "p")
    assert code == 0, text
    frame, truth = pl.read_csv(tmp_path / "out.csv"), pl.read_parquet(tables / "new.parquet")
    assert frame.columns == [*truth.columns, "p"]

    def error(column: pl.Series) -> float:
        return float(np.mean((column.to_numpy() - truth["truth"].to_numpy()) ** 2))

    assert error(frame["p"]) < 0.5 * error(frame["score"])
    code, _ = run("apply", tables / "new.parquet", saved, tmp_path / "out.parquet")
    assert code == 0
    same = pl.read_parquet(tmp_path / "out.parquet")["probability"].to_numpy()
    np.testing.assert_allclose(same, frame["p"].to_numpy(), rtol=1e-9)


@pytest.mark.parametrize("kind", ["auto", "platt", "isotonic", "beta", "histogram"])
def test_one_curve_for_all_needs_no_field(kind: str, tables: Path, tmp_path: Path) -> None:
    saved = tmp_path / "calibrator.json"
    code, text = run("fit", tables / "old.csv", saved, "--kind", kind)
    assert code == 0, text
    held = json.loads(saved.read_text())["calibrator"]["kind"]
    assert held == kind or (kind == "auto" and held in ("platt", "smooth_isotonic"))


def test_the_alarm_rings_for_scores_that_moved_and_not_for_others(
    tables: Path, tmp_path: Path
) -> None:
    saved, moved = tmp_path / "calibrator.json", tmp_path / "moved.parquet"
    run("fit", tables / "old.parquet", saved)
    code, text = run("monitor", tables / "new.parquet", saved)
    assert code == 0, text
    assert "no alarm in 30,000 rows" in text
    frame = pl.read_parquet(tables / "new.parquet")
    frame.with_columns(score=pl.col("score") * 0.7).write_parquet(moved)
    code, text = run("monitor", moved, saved)
    assert code == 3
    assert "alarm after" in text
    assert "moved by +" in text


def test_logits_and_weights_are_read(tables: Path, tmp_path: Path) -> None:
    frame = pl.read_parquet(tables / "old.parquet")
    logits = (pl.col("score") / (1 - pl.col("score"))).log()
    frame = frame.with_columns(l=logits, w=pl.lit(2.0), y=pl.col("label"))
    frame.write_parquet(tmp_path / "logits.parquet")
    words = ("--score", "l", "--logits", "--label", "y", "--weight", "w", "--kind", "platt")
    code, text = run("fit", tmp_path / "logits.parquet", tmp_path / "one.json", *words)
    assert code == 0, text
    run("fit", tables / "old.parquet", tmp_path / "two.json", "--kind", "platt")
    one, two = (
        json.loads((tmp_path / n).read_text())["calibrator"] for n in ("one.json", "two.json")
    )
    assert one["slope"] == pytest.approx(two["slope"], rel=1e-3)


def test_reports_are_weighted_as_the_fit_was_where_they_can_be(
    tables: Path, tmp_path: Path
) -> None:
    frame = pl.read_parquet(tables / "new.parquet").head(3000)
    rng = np.random.default_rng(0)
    frame = frame.with_columns(w=pl.Series(rng.integers(0, 4, 3000).astype(float)))
    frame.write_parquet(tmp_path / "weighted.parquet")
    again = frame.select(pl.all().repeat_by(pl.col("w").cast(pl.Int64))).explode(pl.all())
    again = again.drop_nulls("w").drop("w")
    again.write_parquet(tmp_path / "again.parquet")
    saved = tmp_path / "c.json"
    words = ("--weight", "w", "--field", "site")
    code, text = run("fit", tmp_path / "weighted.parquet", saved, *words)
    assert code == 0, text
    assert "600 rows held out, weighted by 'w'" in " ".join(text.split())
    one, other = (run("report", tmp_path / f"{n}.parquet", saved) for n in ("weighted", "again"))
    assert "weighted by 'w'" in " ".join(one[1].split())
    assert "each counted once: there is no 'w'" in " ".join(other[1].split())
    assert rows_of(one[1]) == rows_of(other[1])
    code, text = run("monitor", tmp_path / "again.parquet", saved)
    assert code in (0, 3), text


def rows_of(text: str) -> list[str]:
    """Lines of a table."""
    return [" ".join(line.split()) for line in text.splitlines() if line.startswith("│")]


def test_clusters_widen_the_bands_of_a_report(tables: Path, tmp_path: Path) -> None:
    frame = pl.read_parquet(tables / "new.parquet").head(5000)
    games = [None if n < 50 else f"game {n}" for n in range(5000)]
    frame = frame.with_columns(game=pl.Series(games))
    pl.concat([frame] * 4).write_parquet(tmp_path / "games.parquet")
    saved = tmp_path / "c.json"
    run("fit", tables / "old.parquet", saved)
    words = ("report", tmp_path / "games.parquet", saved)
    for name, more in (("a", ()), ("b", ("--cluster", "game"))):
        code, text = run(*words, "--picture", tmp_path / f"{name}.svg", *more)
        assert code == 0, text
    assert (tmp_path / "a.svg").read_text() != (tmp_path / "b.svg").read_text()
    assert "Rows of a cluster" in (tmp_path / "b.svg").read_text()
    code, text = run(*words, "--cluster", "game")
    assert code == 1
    assert "--picture" in text
    code, text = run(*words, "--cluster", "gam", "--picture", tmp_path / "c.svg")
    assert code == 1
    assert "did you mean 'game'" in " ".join(text.split())
    code, text = run(*words, "--picture", tmp_path / "c.pdf")
    assert code == 1
    assert "neither .html nor .svg" in " ".join(text.split())


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("score,label\n0.1,0\n0.2,1\n", ["--score", "scor"], "did you mean 'score'"),
        ("score,label\n0.1,0\n1.2,1\n", [], "row 2 of 'score' is 1.2: probabilities lie between"),
        ("score,label\n0.1,0\nbad,1\n", [], "row 2 of 'score' is 'bad', and no number"),
        ("score,label\n0.1,0\n,1\n", [], "row 2 of 'score' is None, and no number"),
        ("score,label\n0.1,0\n0.2,3\n", [], "clicks must be 0 or 1"),
        ("score,label\n", [], "no rows"),
        ("score,label\n0.1,0\n", [], "1 rows are too few to hold 20% of them out"),
        ("score,label\n0.1,0\n0.2,1\n", ["--kind", "plat"], "did you mean 'platt'"),
        ("score,label\n0.1,0\n0.2,1\n", ["--kind", "fields"], "name one with --field"),
        ("score,label,a\n0.1,0,x\n0.2,1,y\n", ["--kind", "beta", "--field", "a"], "maps all rows"),
        ("score,label\ninf,0\n0.2,1\n", ["--logits"], "must be finite"),
    ],
)  # fmt: skip
def test_mistakes_end_in_a_message(
    text: str, words: list[str], message: str, tmp_path: Path
) -> None:
    table = tmp_path / "scores.csv"
    head, *rows = text.splitlines(keepends=True)
    table.write_text(head + "".join(rows) * (5 if len(rows) > 1 else 1))
    code, said = run("fit", table, tmp_path / "calibrator.json", *words)
    assert code == 1, said
    assert message in said.replace("\n", " ")
    assert not (tmp_path / "calibrator.json").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no calibrator"),
        ("{", "no calibrator that can be read"),
        ("[]", "no calibrator that can be read"),
        ('{"etalage_calibrator": 9}', "format is 9"),
    ],
)
def test_what_is_no_calibrator_is_named(
    text: str | None, message: str, tables: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "calibrator.json"
    if text is not None:
        saved.write_text(text)
    code, said = run("report", tables / "new.parquet", saved)
    assert code == 1
    assert message in said.replace("\n", " ")


def test_what_cannot_be_installed_is_named(tables: Path, tmp_path: Path) -> None:
    saved = tmp_path / "calibrator.json"
    code, said = run("install", tmp_path, saved)
    assert code == 1
    assert "there is no calibrator" in said.replace("\n", " ")
    run("fit", tables / "old.parquet", saved, "--kind", "platt")
    for folder, message in ((tmp_path / "nowhere", "there is no folder"), (tmp_path, "no bundle")):
        code, said = run("install", folder, saved)
        assert code == 1
        assert message in said.replace("\n", " ")


def test_tables_of_other_forms_are_read_or_named(tables: Path, tmp_path: Path) -> None:
    frame = pl.read_parquet(tables / "old.parquet").head(4000)
    forms = {
        "categories": frame.with_columns(
            label=pl.col("label").cast(pl.String).cast(pl.Categorical)
        ),
        "truths": frame.with_columns(label=pl.col("label") == 1),
        "brackets": frame.rename({"site": "[/site]"}),
        "lists": frame.with_columns(score=pl.col("score").reshape((-1, 1)).arr.to_list()),
    }
    for name, form in forms.items():
        form.write_parquet(tmp_path / f"{name}.parquet")
    forms["truths"].write_csv(tmp_path / "truths.csv")
    for table in ("categories.parquet", "truths.parquet", "truths.csv"):
        code, text = run("fit", tmp_path / table, tmp_path / "c.json")
        assert code == 0, text
    code, text = run(
        "fit", tmp_path / "brackets.parquet", tmp_path / "c.json", "--field", "[/site]"
    )
    assert code == 0, text
    assert "relative error by [/site]" in text
    code, text = run("fit", tmp_path / "lists.parquet", tmp_path / "c.json")
    assert code == 1
    assert "no numbers can be read" in text.replace("\n", " ")
    rows = "score,label,site\n" + "0.1,0,café\n0.2,1,café\n" * 25
    (tmp_path / "latin.csv").write_bytes(rows.encode("latin-1"))
    code, text = run("fit", tmp_path / "latin.csv", tmp_path / "c.json", "--field", "site")
    assert code == 1
    assert "--encoding latin-1" in text.replace("\n", " ")
    code, text = run(
        "fit",
        tmp_path / "latin.csv",
        tmp_path / "c.json",
        "--field",
        "site",
        "--encoding",
        "latin-1",
    )
    assert code == 0, text


def test_nothing_is_overwritten_or_left_behind(tables: Path, tmp_path: Path) -> None:
    saved = tmp_path / "c.json"
    code, _ = run("fit", tables / "old.parquet", saved, "--picture", tmp_path / "no" / "p.svg")
    assert code != 0
    assert not saved.exists()
    run("fit", tables / "old.parquet", saved)
    code, text = run("apply", tables / "new.parquet", saved, tmp_path / "o.tsv")
    assert code == 1
    assert "neither .csv nor .parquet" in text
    code, text = run(
        "apply", tables / "new.parquet", saved, tmp_path / "o.csv", "--column", "score"
    )
    assert code == 1
    assert "already" in text


def test_constant_scores_and_one_class_are_borne(tmp_path: Path) -> None:
    rows = "".join(f"0.3,0,{'ab'[n % 2]}\n" for n in range(50))
    (tmp_path / "scores.csv").write_text("score,label,site\n" + rows)
    for words in ([], ["--field", "site"]):
        code, text = run("fit", tmp_path / "scores.csv", tmp_path / "c.json", *words)
        assert code == 0, text


def test_a_table_of_curves_stands_for_its_calibrator(tables: Path, tmp_path: Path) -> None:
    few, saved, short = (tmp_path / name for name in ("few.parquet", "mcnet.json", "table.json"))
    sites = [f"site {v}" for v in range(6)]
    pl.read_parquet(tables / "old.parquet").filter(pl.col("site").is_in(sites)).write_parquet(few)
    code, text = run("fit", few, saved, "--field", "site", "--kind", "mcnet")
    assert code == 0, text
    assert "mcnet, fitted to" in text
    code, text = run("tabulate", saved, short, "--error", 0.01)
    assert code == 0, text
    assert "6 curves" in text  # five sites, and that of none
    out = {}
    for name, calibrator in (("exact", saved), ("table", short)):
        code, text = run("apply", few, calibrator, place := tmp_path / f"{name}.parquet")
        assert code == 0, text
        out[name] = pl.read_parquet(place)["probability"].to_numpy()
    assert 0 < np.abs(out["exact"] - out["table"]).max() <= 0.01 / 4


def test_contexts_of_several_fields_are_named(tables: Path, tmp_path: Path) -> None:
    both, saved = tmp_path / "both.parquet", tmp_path / "calibrator.json"
    frame = pl.read_parquet(tables / "old.parquet").head(3000)
    frame.with_columns(slot=pl.int_range(pl.len()) % 2, site=pl.lit("one")).write_parquet(both)
    code, text = run("fit", both, saved, "--field", "site", "--field", "slot")
    assert code == 0, text
    code, text = run("tabulate", saved, tmp_path / "table.json")
    assert code == 1
    assert "--contexts" in text
    code, text = run("tabulate", saved, tmp_path / "t.json", "--contexts", tables / "old.parquet")
    assert code == 1
    assert "has no column 'slot'" in text
    slots = tmp_path / "slots.parquet"  # fields are enough
    pl.read_parquet(both, columns=["site", "slot"]).write_parquet(slots)
    code, text = run("tabulate", saved, tmp_path / "table.json", "--contexts", slots)
    assert code == 0, text
    assert "3 curves" in text
