"""What is stored comes back the same, or not at all."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.data import store
from etalage.data.dataset import Dataset
from etalage.data.ingest import open_dataset
from etalage.data.interactions import Interactions
from etalage.errors import CapacityError, DataError
from etalage.ids import Vocabulary


def shop(n: int = 3) -> Dataset:
    return Dataset(
        "shop",
        Interactions.from_arrays(
            [0] * n,
            list(range(n)),
            [5] * n,
            [0.5] * n,
            n_users=2,
            n_items=n + 1,
            context={"device": ["phone"] * n},
        ),
        Vocabulary(["ann", "bob"]),
        Vocabulary(range(n + 1)),
        item_table=pl.DataFrame({"item": range(n + 1), "category": [["a", "b"]] * (n + 1)}),
        impressions=pl.DataFrame({"user": [1], "item": [2], "time": [3], "clicked": [0]}),
        manifest={"source": "a test", "terms": "do as you like"},
    )


def assert_same(a: Dataset, b: Dataset) -> None:
    assert a.name == b.name
    assert a.interactions.frame.equals(b.interactions.frame)
    assert (a.interactions.n_users, a.interactions.n_items) == (b.n_users, b.n_items)
    assert (a.users, a.items) == (b.users, b.items)
    for table in store.TABLES:
        one, other = getattr(a, table), getattr(b, table)
        assert (one is None) == (other is None)
        assert one is None or one.equals(other)


def test_a_dataset_comes_back_whole(tmp_path: Path) -> None:
    folder = store.save(shop(), tmp_path / "deep" / "shop")
    assert_same(store.load(folder), shop())
    assert_same(open_dataset(folder), shop())
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["n_users"], manifest["n_items"], manifest["n_interactions"]) == (2, 4, 3)
    assert (manifest["source"], manifest["terms"]) == ("a test", "do as you like")
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["shop"]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(-9, 2**62)), max_size=9)
)
@settings(max_examples=25, deadline=None)
def test_any_log_comes_back(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    columns = [list(c) for c in zip(*rows, strict=True)] or [[], [], []]
    log = Interactions.from_arrays(*columns, n_users=4, n_items=5)
    data = Dataset("any", log, Vocabulary("abcd"), Vocabulary(range(5)))
    assert_same(store.load(store.save(data, tmp_path_factory.mktemp("x") / "d")), data)


def test_the_same_data_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = store.save(shop(), tmp_path / "1"), store.save(shop(), tmp_path / "2")
    for path in one.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes(), path.name
    again = store.save(store.load(one), tmp_path / "3")
    assert (again / "manifest.json").read_bytes() == (one / "manifest.json").read_bytes()


def test_a_dataset_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    folder = store.save(shop(3), tmp_path / "shop")
    store.save(shop(5), folder, terms="others")
    assert len(store.load(folder).interactions) == 5
    assert store.load(folder).manifest["terms"] == "others"
    assert [p.name for p in tmp_path.iterdir()] == ["shop"]
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with pytest.raises(DataError, match="exists and is no stored dataset"):
        store.save(shop(), tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.tex").exists()


def test_a_cut_a_changed_and_a_missing_file_are_named(tmp_path: Path) -> None:
    folder = store.save(shop(), tmp_path / "shop")
    path = folder / "interactions.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(DataError, match=r"interactions.parquet is cut short: [\d,]+ of [\d,]+"):
        store.load(folder)
    path.write_bytes(whole[:60] + b"\xff" + whole[61:])
    with pytest.raises(DataError, match=r"interactions.parquet was changed: its sha256"):
        store.load(folder)
    path.unlink()
    with pytest.raises(DataError, match=r"interactions.parquet is missing"):
        store.load(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not the manifest of a dataset"),
        ("[]", "is not the manifest of a dataset"),
        ('{"name": "my web app"}', "is not the manifest of a dataset"),
        ('{"etalage_dataset": 9, "files": {}}', "version 9 of the dataset form"),
        ('{"etalage_dataset": 1, "files": {}}', "lists no interactions.parquet"),
    ],
)
def test_a_broken_manifest_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=message):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="no dataset in"):
        store.load(tmp_path / "nowhere")


FULL = """
import resource, signal, sys
from etalage.data import store
from etalage.errors import CapacityError, DataError
from tests.data.test_store import shop
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
data = shop(20_000)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    store.save(data, sys.argv[1])
except CapacityError as error:
    print(error)
"""


def test_a_write_that_the_system_refuses_leaves_the_old_dataset(tmp_path: Path) -> None:
    """A limit on the size of files makes the real writer fail in the middle of a file."""
    folder = store.save(shop(3), tmp_path / "shop")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", FULL, folder], cwd=root, capture_output=True, text=True
    )
    assert "nothing was written" in done.stdout, done.stderr
    assert_same(store.load(folder), shop(3))
    assert [p.name for p in tmp_path.iterdir()] == ["shop"]


@pytest.mark.parametrize("call", ["polars.DataFrame.write_parquet", "os.rename", "os.fsync"])
def test_a_full_disk_says_so_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(call, full)
    with pytest.raises(CapacityError, match="is full; nothing was written"):
        store.save(shop(), tmp_path / "shop")
    assert list(tmp_path.iterdir()) == []
