"""Published tables computed again: what is skipped, what is averaged, what is written."""

import csv
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.pipeline.split_tables import quick, split_tables
from typer.testing import CliRunner

from etalage.cli.main import app
from etalage.errors import CapacityError, DataError, RecipeError
from etalage.evaluate.significance import runs_interval
from etalage.models.ranking.network import Columns
from etalage.models.registry import build
from etalage.pipeline.ctr import ClickJob, Results, device_name
from etalage.pipeline.monitors import check_monitors
from etalage.pipeline.reproduce.ctr import LOADERS, loader, reproduce
from etalage.pipeline.reproduce.published import FLOOR, Published, Row, Table, click_table

TABLE = Table(
    data="toy",
    title="Toys & co",
    note="A note.",
    rows=(
        Row(name="narrow", ranker=quick(width=2)),
        Row(
            name="wide",
            ranker=quick(),
            published=Published(auc=0.75, log_loss=0.5, source="a log"),
        ),
        Row(name="other data", ranker=quick(), data={"seed": 1}),
    ),
)


def load(settings: dict[str, int]):
    return split_tables(n=800, **settings)


def test_a_table_is_computed_once_and_read_afterwards(tmp_path: Path, monkeypatch) -> None:
    said: list[str] = []
    lines = reproduce(TABLE, load, tmp_path, 2, said.append)
    assert [line.name for line in lines] == ["narrow", "wide", "other data"]
    assert len(said) == len((tmp_path / "results.jsonl").read_text().splitlines()) == 6
    before = (tmp_path / "table.csv").read_text()
    fits: list[object] = []
    run = ClickJob.run
    monkeypatch.setattr(ClickJob, "run", lambda *a, **k: fits.append(a) or run(*a, **k))
    reproduce(TABLE, load, tmp_path, 2, said.append)
    assert not fits
    assert (tmp_path / "table.csv").read_text() == before
    assert all(line.endswith(", as before") for line in said[6:])
    reproduce(TABLE, load, tmp_path, 3, said.append)
    assert len(fits) == 3, "a third seed of each row"


def names(folder: Path) -> list[str]:
    with (folder / "table.csv").open() as file:
        return [row["name"] for row in csv.DictReader(file)]


def test_rows_that_are_not_asked_for_stay_where_they_have_all_their_seeds(tmp_path: Path) -> None:
    narrow, wide, other = TABLE.rows
    some = partial(reproduce, TABLE, load, tmp_path, say=lambda text: None)
    some(n_seeds=1, asked=[other])
    assert names(tmp_path) == ["other data"]
    some(n_seeds=1, asked=[narrow])
    assert names(tmp_path) == ["narrow", "other data"], "in the order of the table"
    lines = some(n_seeds=2, asked=[wide])
    assert names(tmp_path) == [line.name for line in lines] == ["wide"], "others have one seed"
    some(n_seeds=1, asked=[narrow])
    assert names(tmp_path) == ["narrow", "wide", "other data"]
    moved = partial(split_tables, n=900)
    reproduce(TABLE, lambda data: moved(**data), tmp_path, 1, lambda text: None, asked=[narrow])
    assert names(tmp_path) == ["narrow"], "others are of other data"


def test_a_kill_before_the_result_is_kept_loses_no_fit(tmp_path: Path, monkeypatch) -> None:
    one = partial(reproduce, TABLE, load, tmp_path, 1, lambda text: None, asked=TABLE.rows[:1])

    def killed(*args):
        raise KeyboardInterrupt

    for step in (f"{Results.__module__}.Results.append", f"{reproduce.__module__}.forget"):
        with monkeypatch.context() as patch:
            patch.setattr(step, killed)
            with pytest.raises(KeyboardInterrupt):
                one()
        assert len([*tmp_path.rglob("checkpoint.safetensors")]) == 1
    one()
    assert not [*tmp_path.rglob("checkpoint.safetensors")]
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 1


def test_a_device_that_is_not_there_is_named_before_data_is_read(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for device, error, told in (
        ("cuda", CapacityError, "no CUDA device here; use --device cpu"),
        ("gpu", RecipeError, "there is no device 'gpu'; use cpu or cuda"),
    ):
        with pytest.raises(error, match=told):
            reproduce(TABLE, pytest.fail, tmp_path, 1, pytest.fail, device=device)
    done = CliRunner().invoke(app, ["reproduce", "ctr", "--device", "gpu"])
    assert done.exit_code == 2


def test_the_accelerator_is_called_by_its_name(monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "Toy 100")
    assert [device_name(device) for device in ("cpu", "cuda")] == ["cpu", "Toy 100"]


def test_a_table_says_what_was_found_and_what_was_published(tmp_path: Path) -> None:
    narrow, wide, _ = reproduce(TABLE, load, tmp_path, 2, lambda text: None)
    with (tmp_path / "table.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert float(rows["wide"]["auc"]) == wide.auc.value
    assert rows["narrow"]["published_auc"] == ""
    text = (tmp_path / "table.md").read_text()
    assert "2 seeds (Student's t)" in text
    assert f"| 0.7500 | {wide.auc.value - 0.75:+.4f} |" in text
    assert "- wide: a log" in text
    assert narrow.published is None
    tree = ElementTree.parse(tmp_path / "table.svg")
    dots = [n for n in tree.iter() if n.tag.endswith("circle")]
    assert len(dots) == 3
    assert (tmp_path / "table.svg").read_text().count("var(--second)") == 1, "one bar"


def test_one_seed_has_an_interval_over_test_rows(tmp_path: Path) -> None:
    lines = reproduce(TABLE, load, tmp_path, 1, lambda text: None)
    assert lines[0].auc.low < lines[0].auc.value < lines[0].auc.high
    assert "test rows (one seed)" in (tmp_path / "table.md").read_text()


def test_the_interval_over_runs_is_students() -> None:
    """t of 2 degrees at 97.5 % is 4.30265; the deviation of 1, 2, 3 is 1."""
    low, high = runs_interval([1.0, 2.0, 3.0])
    assert (high - low) / 2 == pytest.approx(4.30265 / 3**0.5, rel=1e-5)
    assert (high + low) / 2 == pytest.approx(2)
    with pytest.raises(DataError, match="take more seeds"):
        runs_interval([1.0])


@pytest.mark.parametrize("data", LOADERS)
def test_every_table_has_the_floor_once(data: str) -> None:
    table = click_table(data)
    assert [row.ranker["kind"] for row in table.rows].count(FLOOR) == 1
    assert len({row.name for row in table.rows}) == len(table.rows)


@pytest.mark.parametrize(
    "row",
    [row for data in LOADERS for row in click_table(data).rows if row.ranker["kind"] != FLOOR],
    ids=lambda row: row.name,
)
def test_a_packaged_row_can_be_run(row: Row) -> None:
    model = build(row.ranker, "ranker")
    check_monitors({}, model)
    for member in getattr(model, "members", [model]):
        assert member.config.vector_decay == 0
        assert member.config.training.batch_size == 4096
        assert member.config.training.cuts == 2


SIZES = (956, 4084, 9, 9, 4, 5, 4, 11, 82, 235)
"""Codes of the fields of Frappe, as the published logs print them."""
WEIGHTS = {
    # published, and ours more than that: logs of FuxiCTR 1 have one code a field less
    "LR": (5_390, 10),
    "FM": (59_280, 10 * 11),
    "DNN": (417_991, 0),
    "Wide & Deep": (423_280, 10 * 11),
    "DeepFM": (423_280, 10 * 11),
    "xDeepFM": (429_809, 10 * 11 - 1),  # one constant where theirs has two
    "AutoInt+": (622_180, 10 * 10 - 1),
    "DCN": (418_591, 10 * 10),
    "DCN-V2": (458_391, 10 * 10),
    "MaskNet": (571_691, 10 * 10),
    "FinalNet (2B)": (338_502, -1),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_packaged_settings_make_the_published_network(name: str) -> None:
    row = next(row for row in click_table("frappe").rows if row.name == name)
    model = build(row.ranker, "ranker")
    network = model.network_type(Columns(SIZES, 0, 0), model.config)
    published, more = WEIGHTS[name]
    assert sum(weight.numel() for weight in network.parameters()) == published + more


def test_only_some_kinds_keep_the_floor() -> None:
    table = click_table("frappe")
    assert {row.ranker["kind"] for row in table.only(["qnn"]).rows} == {FLOOR, "qnn"}
    assert table.only([]) == table
    with pytest.raises(RecipeError, match="did you mean 'deepfm'"):
        table.only(["deepfn"])


def test_data_that_is_not_there_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("ETALAGE_DATA", raising=False)
    with pytest.raises(DataError, match=r"set ETALAGE_DATA .* ctr/frappe_x1r"):
        loader("frappe")
    monkeypatch.setenv("ETALAGE_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"there is no folder .*movielens-1m"):
        loader("movielens-1m")


def test_the_command_names_a_misspelt_table() -> None:
    done = CliRunner().invoke(app, ["reproduce", "ctr", "--data", "frape"])
    assert done.exit_code == 1
    assert "did you mean 'frappe'? (known: frappe, movielens-1m)" in done.output
