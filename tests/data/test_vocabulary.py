"""What code does a value get, and what happens to values that training never saw?"""

import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.data import tally
from etalage.data.features import FeatureTable
from etalage.data.fields import Bag, Category, FieldKind, Log2, Number, Quantile
from etalage.data.formats.clicks import read_click_parts
from etalage.data.vocabulary import ClickVocabulary
from etalage.errors import BundleError, DataError

CLICKS = pl.DataFrame(
    {
        "label": [0, 1, 0, 1],
        "shop": ["b", "a", "b", None],
        "shelf": [7, 7, 9, 11],
        "price": [1.0, 3.0, None, 2.0],
        "tags": ["x|y", "y|z|x", "", None],
    }
)
FIELDS: dict[str, FieldKind] = {
    "shop": Category(),
    "shelf": Quantile(bins=2),
    "price": Number(),
    "tags": Bag(length=2),
}


def column_of(values: list, kind: FieldKind) -> list:
    """Codes or numbers that a field gives the rows it learns from."""
    frame = pl.DataFrame({"v": values}, strict=False)
    table = ClickVocabulary.learn(frame, {"v": kind}).table(frame)
    return (table.numbers if isinstance(kind, Number) else table.categories)[:, 0].tolist()


def test_values_get_codes_by_count_then_text_and_numbers_are_standardised() -> None:
    table = ClickVocabulary.learn(CLICKS.drop("tags")).table(CLICKS)
    assert dict(table.sizes) == {"shop": 4, "shelf": 5}
    assert table.categories.tolist() == [[1, 1], [2, 1], [1, 3], [0, 2]]  # "11" < "9" as text
    assert table.number_names == ("price",)
    assert table.numbers[:, 0].tolist() == [-1.0, 1.0, 0.0, 0.0]
    assert table.labels.tolist() == [0, 1, 0, 1]


def test_what_training_never_saw_has_the_last_code() -> None:
    vocabulary = ClickVocabulary.learn(CLICKS.drop("tags"), person="shop")
    later = pl.DataFrame({"shop": ["c", "b", None], "shelf": [8, 9, 7], "price": [2.0, None, 0.0]})
    table = vocabulary.table(later, first_row=10)
    assert table.categories.tolist() == [[3, 4], [1, 3], [0, 1]]
    assert table.clicks is None
    assert table.groups is not None
    assert table.groups.tolist() == [-11, 1, -13]  # unknown people are not one person
    with pytest.raises(DataError, match=r"fields \['price'\] are not in the table.*'shelf'"):
        vocabulary.table(later.drop("price"))


values = st.lists(st.one_of(st.none(), st.text("ab", max_size=2)), min_size=1, max_size=40)


@settings(deadline=None)
@given(values, st.integers(1, 3), st.randoms(use_true_random=False))
def test_codes_are_those_of_a_plain_count_however_the_rows_come(values, min_count, random) -> None:
    counts = Counter(v for v in values if v)
    known = sorted(
        (v for v, n in counts.items() if n >= min_count),
        key=lambda v: (-counts[v], v.encode()),
    )
    codes = {v: n for n, v in enumerate(known, 1)}
    expected = [codes.get(v, len(known) + 1) if v else 0 for v in values]
    kind = {"v": Category(min_count=min_count)}
    frame = pl.DataFrame({"v": values}, schema={"v": pl.String})
    vocabulary = ClickVocabulary.learn(frame, kind)
    assert vocabulary.table(frame).categories[:, 0].tolist() == expected
    assert vocabulary.table(frame).sizes == {"v": len(known) + 2}
    order = random.sample(range(len(values)), len(values))
    cut = random.randrange(len(values) + 1)
    parts = [frame[order][:cut], frame[order][cut:]]
    assert ClickVocabulary.learn(parts, kind).hash == vocabulary.hash


def test_whole_numbers_as_criteo_bins_them() -> None:
    found = column_of([*range(-3, 3), None, *range(3, 20_000)], Log2())
    bins = [*range(-3, 3), *(math.floor(math.log(v) ** 2) for v in range(3, 20_000))]
    counts = Counter(bins)
    order = sorted(counts, key=lambda v: (-counts[v], str(v)))
    assert found == [0 if v is None else 1 + order.index(v) for v in [*bins[:6], None, *bins[6:]]]
    # 2.9 is in bin floor(1.0647 ** 2) = 1, as is 1.5; -0.5 and 0 are in bin 0; 2 alone in 2
    assert column_of([2.9, 2.0, 1.5, -0.5, 0.0, 1.0], Log2()) == [1, 3, 1, 2, 2, 1]


@settings(deadline=None)
@given(st.lists(st.integers(-5, 5) | st.floats(-9, 9), min_size=1, max_size=60), st.integers(2, 9))
def test_quantile_bins_hold_equal_parts(numbers, bins) -> None:
    edges = np.quantile(numbers, np.arange(1, bins) / bins, method="inverted_cdf")
    edges = np.unique(edges[edges < max(numbers)])
    expected = 1 + np.searchsorted(edges, numbers, side="left")
    frame = pl.DataFrame({"v": [*map(float, numbers), None, math.nan]})
    vocabulary = ClickVocabulary.learn([frame[:7], frame[7:]], {"v": Quantile(bins=bins)})
    table = vocabulary.table(frame)
    assert table.categories[:, 0].tolist() == [*expected, 0, 0]
    assert table.sizes == {"v": len(edges) + 2}
    far = vocabulary.table(pl.DataFrame({"v": [-1e30, 1e30]}))
    assert far.categories[:, 0].tolist() == [1, len(edges) + 1]


def test_quantiles_of_very_many_numbers_lose_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "TOLD_APART", 2000)
    monkeypatch.setattr(tally, "WAITING", 1000)
    numbers = np.random.default_rng(0).lognormal(0, 2, 100_000)
    parts = [pl.DataFrame({"v": part}) for part in np.split(numbers, 100)]
    edges = ClickVocabulary.learn(parts, {"v": Quantile(bins=10)}).learnt["v"]
    reached = np.searchsorted(np.sort(numbers), edges, side="right") / len(numbers)
    np.testing.assert_allclose(reached, np.arange(1, 10) / 10, atol=0.01)
    assert len(edges) == 9


def test_moments_of_parts_are_those_of_all() -> None:
    numbers = np.random.default_rng(0).normal(1e6, 3, 999)
    frame = pl.DataFrame({"v": numbers})
    parts = [frame[:1], frame[1:1], frame[1:500], frame[500:]]
    learnt = ClickVocabulary.learn(parts, {"v": Number()}).learnt["v"]
    np.testing.assert_allclose(learnt, [numbers.mean(), numbers.std(ddof=1)], rtol=1e-9)
    assert column_of([0.1] * 7, Number()) == pytest.approx([0.0] * 7, abs=1e-15)
    assert column_of([None, None], Number()) == [0.0, 0.0]
    assert column_of([1.0, math.nan, 3.0], Number())[1] == 0.0


def test_a_bag_keeps_its_first_values() -> None:
    vocabulary = ClickVocabulary.learn(CLICKS, {"tags": Bag(length=2)})
    table = vocabulary.table(CLICKS)
    assert vocabulary.learnt["tags"].to_list() == ["y", "x", "z"]
    assert table.bag_forms == {"tags": (5, 2)}
    assert table.bags is not None
    assert table.bags.tolist() == [[2, 1], [1, 3], [0, 0], [0, 0]]
    later = vocabulary.table(pl.DataFrame({"tags": ["|new||x|y"]}))
    assert later.bags is not None
    assert later.bags.tolist() == [[4, 2]]


def test_a_value_twice_in_a_row_counts_once() -> None:
    frame = pl.DataFrame({"v": ["x|x", "y", "y|x", "z|z|z"]})
    vocabulary = ClickVocabulary.learn(frame, {"v": Bag(min_count=2)})
    assert vocabulary.learnt["v"].to_list() == ["x", "y"]
    assert vocabulary.table(frame).bags.tolist()[0] == [1, 1, 0, 0, 0]


def test_true_is_neither_one_nor_a_word(tmp_path: Path) -> None:
    truths = pl.DataFrame({"v": [True, False, None, True]})
    vocabulary = ClickVocabulary.learn(truths, {"v": Category()})
    vocabulary.save(tmp_path / "v")
    vocabulary = ClickVocabulary.load(tmp_path / "v")
    assert vocabulary.table(truths).categories[:, 0].tolist() == [1, 2, 0, 1]
    none = pl.DataFrame({"v": [None, None]})
    assert vocabulary.table(none).categories[:, 0].tolist() == [0, 0]
    for others in ([1, 0, None, 1], ["true", "false", None, "true"]):
        frame = pl.DataFrame({"v": others})
        with pytest.raises(
            DataError, match=r"'v' is of type \w+, and was of type Boolean in train"
        ):
            vocabulary.table(frame)
        with pytest.raises(
            DataError, match=r"'v' is of type Boolean, and was of type \w+ in train"
        ):
            ClickVocabulary.learn(frame, {"v": Category()}).table(truths)
        with pytest.raises(DataError, match=r"'v' is of type Boolean after parts of type"):
            ClickVocabulary.learn([frame, truths], {"v": Category()})


def test_an_id_is_the_same_as_number_and_as_text() -> None:
    for learnt in ([7, 7, 9], ["7", "7", "9"], [7.0, 7.0, 9.0], np.array([7, 7, 9], np.uint64)):
        vocabulary = ClickVocabulary.learn(pl.DataFrame({"v": learnt}), {"v": Category()})
        for asked in ([9, None, 8], ["9", "", "07"], [9.0, math.nan, 8.0]):
            codes = vocabulary.table(pl.DataFrame({"v": asked})).categories[:, 0].tolist()
            assert codes == [2, 0, 3], (learnt, asked)


def test_columns_without_a_value_have_their_two_codes() -> None:
    none = pl.DataFrame({"v": [None, None]})
    for kind in (Category(), Log2(), Quantile()):
        vocabulary = ClickVocabulary.learn(none, {"v": kind})
        assert vocabulary.table(none).categories.tolist() == [[0], [0]]
        later = vocabulary.table(pl.DataFrame({"v": [1, 2]}))
        assert later.categories.tolist() == [[1], [1]]
        assert later.sizes == {"v": 2}


@pytest.mark.parametrize(
    ("column", "kind", "message"),
    [
        ([1.0, math.inf], Number(), "column 'v' is infinite, .* row 12: inf"),
        ([1.0, -math.inf], Quantile(), "column 'v' is infinite, .* row 12: -inf"),
        ([math.inf, 1e39], Log2(), "column 'v' is infinite, .*: 2 rows, the first is row 11"),
        ([1.0, 1e39], Number(), "too large for float32.* row 12"),
        (["1", "inf"], Number(), "column 'v' is infinite, .* row 12"),
        (["1.5", "nan", " ", "cheap"], Number(), "not a number: 1 rows, the first is row 14: 'che"),
        ([True, False], Number(), "'v' is of type Boolean; expected numbers"),
        ([7.0, 7.5], Category(), "'v' is not a whole number; make .* row 12: 7.5"),
        ([7.0, math.inf], Category(), "'v' is not a whole number; make .* row 12: inf"),
        ([["a"], ["b"]], Category(), r"'v' is of type List\(String\); a category is"),
        ([1, 2], Bag(), "'v' is of type Int64; a bag is text whose values are separated by '|'"),
    ],
)
def test_values_that_a_field_cannot_have_are_refused(column, kind, message) -> None:
    frame = pl.DataFrame({"v": column})
    ten = pl.DataFrame({"v": [None] * 10}, schema={"v": pl.String})
    with pytest.raises(DataError, match=message):
        ClickVocabulary.learn([ten, frame], {"v": kind})
    vocabulary = ClickVocabulary.learn(ten, {"v": kind})
    with pytest.raises(DataError, match=message):
        vocabulary.table(frame, first_row=10)


def test_a_number_too_far_from_training_is_refused() -> None:
    vocabulary = ClickVocabulary.learn(pl.DataFrame({"v": [0.0, 1e-9]}), {"v": Number()})
    with pytest.raises(DataError, match=r"'v' is too far from its training mean.* row 2: 1e\+35"):
        vocabulary.table(pl.DataFrame({"v": [1.0, 1e35]}))


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        (CLICKS.select("label"), {}, "no field to predict"),
        (CLICKS, {"fields": {}}, "no field is named"),
        (CLICKS[:0], {}, "no rows to learn"),
        ([], {}, "no rows to learn"),
        (CLICKS.with_columns(label=1), {}, "the label is 1 in all 4 training rows"),
        ([CLICKS, CLICKS.with_columns(label=2)], {}, "label is not 0 or 1 in 4 .* row 5: 2"),
        (CLICKS.with_columns(label=None), {}, "label is not 0 or 1 in 4 .* row 1: None"),
        (CLICKS, {"fields": {"shpo": Category()}}, r"fields \['shpo'\] are not .* it has \['label"),
        (CLICKS, {"fields": {"label": Category()}}, "the label is among the fields"),
        (CLICKS, {"person": "price"}, "the person 'price' is no category field; fields are"),
        (
            [CLICKS, CLICKS.cast({"shelf": pl.String})],
            {},
            "column 'shelf' is of type String after parts of type Int64",
        ),
    ],
)
def test_rows_that_teach_nothing_are_refused(frames, options, message) -> None:
    with pytest.raises(DataError, match=message):
        ClickVocabulary.learn(frames, **options)


def test_a_slip_in_the_fields_is_told_before_a_long_log_is_read() -> None:
    parts = iter([CLICKS, CLICKS])
    with pytest.raises(DataError, match="the person 'shpo' is no category field"):
        ClickVocabulary.learn(parts, FIELDS, person="shpo")
    assert len([*parts]) == 1


def test_a_stored_vocabulary_codes_alike(tmp_path: Path) -> None:
    vocabulary = ClickVocabulary.learn(CLICKS, FIELDS, person="shop")
    vocabulary.save(tmp_path / "vocabulary")
    loaded = ClickVocabulary.load(tmp_path / "vocabulary")
    assert (loaded.hash, loaded.fields, loaded.person) == (vocabulary.hash, FIELDS, "shop")
    assert loaded.table(CLICKS).hash == vocabulary.table(CLICKS).hash
    other = ClickVocabulary.learn(CLICKS[1:], FIELDS)
    table = loaded.table(CLICKS)
    loaded.check(table)
    with pytest.raises(DataError, match=f"coded by vocabulary {loaded.hash}.*is .* {other.hash}"):
        other.check(table)
    bare = FeatureTable(table.sizes, table.categories, table.number_names, table.numbers)
    with pytest.raises(DataError, match="coded without a vocabulary"):
        loaded.check(bare)


@pytest.mark.parametrize("name", ["clicks.parquet", "clicks.csv", "clicks-*.parquet"])
def test_a_table_written_in_parts_is_the_table_of_all_rows(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "clicked": rng.integers(0, 2, 1000),
            "user": rng.integers(0, 50, 1000),
            "shop": rng.choice(["a", "b", "c"], 1000),
            "price": rng.normal(size=1000),
            "tags": rng.choice(["x", "x|y", "z|y"], 1000),
        }
    )
    fields = {"user": Category(min_count=20), **FIELDS, "shelf": Log2()}
    frame = frame.with_columns(shelf=pl.col("user") * 7)
    if name.endswith("csv"):
        frame.write_csv(tmp_path / name)
    elif "*" in name:
        frame[:600].write_parquet(tmp_path / "clicks-0.parquet")
        frame[600:].write_parquet(tmp_path / "clicks-1.parquet")
    else:
        frame.write_parquet(tmp_path / name, row_group_size=300)
    source = tmp_path / name
    vocabulary = ClickVocabulary.learn(read_click_parts(source, rows=70), fields, person="user")
    table = vocabulary.write(read_click_parts(source, rows=70), tmp_path / "table")
    whole = read_click_parts(frame, rows=10_000)
    at_once = ClickVocabulary.learn(whole, fields, person="user")
    expected = at_once.table(frame.rename({"clicked": "label"}))
    assert (dict(table.sizes), table.bag_forms) == (dict(expected.sizes), expected.bag_forms)
    for block, column in expected.blocks().items():
        np.testing.assert_allclose(table.blocks()[block], column, rtol=1e-5, err_msg=block)
    vocabulary.check(table)


def test_a_bad_row_late_in_a_log_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    frame = pl.DataFrame({"click": [0, 1] * 500, "price": [*[1.0, 2.0] * 499, 3.0, math.inf]})
    frame.write_parquet(tmp_path / "a.parquet")
    vocabulary = ClickVocabulary.learn(frame[:998].rename({"click": "label"}))
    with pytest.raises(DataError, match=r"'price' is infinite.*row 1,000: inf"):
        vocabulary.write(read_click_parts(tmp_path / "a.parquet", rows=64), tmp_path / "table")
    labels = pl.DataFrame({"click": [0, 1] * 499 + [0, 5], "price": 1.0})
    labels.write_csv(tmp_path / "b.csv")
    with pytest.raises(DataError, match=r"'click' of b.csv is not 0 or 1 .* row 1,000: '5'"):
        ClickVocabulary.learn(read_click_parts(tmp_path / "b.csv", rows=64))
    (tmp_path / "c.svm").write_text("1 7:1\n")
    with pytest.raises(DataError, match=r"c\.svm holds libsvm lines, .* read_clicks"):
        next(read_click_parts(tmp_path / "c.svm"))
    with pytest.raises(DataError, match="did you mean 'click'"):
        next(read_click_parts(tmp_path / "b.csv", click="clik"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.csv", "c.svm"]


def edited(key: str, value: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        facts = json.loads((folder / "vocabulary.json").read_text())
        (folder / "vocabulary.json").write_text(json.dumps(facts | {key: value}))

    return edit


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "values.parquet").unlink(),
        lambda folder: (folder / "values.parquet").write_bytes(b"PAR1"),
        lambda folder: (folder / "vocabulary.json").unlink(),
        lambda folder: (folder / "vocabulary.json").write_bytes(b"\xff"),
        lambda folder: (folder / "vocabulary.json").write_text("[]"),
        lambda folder: ClickVocabulary.learn(CLICKS[1:], FIELDS).learnt["shop"].implode().to_frame()
        .write_parquet(folder / "values.parquet"),
        edited("etalage_vocabulary", 9),
        edited("fields", {"shop": {"kind": "colour"}}),
        edited("fields", {"shop": {"kind": "category"}}),
        edited("person", "nobody"),
        edited("hash", "0" * 16),
    ],
)  # fmt: skip
def test_a_broken_vocabulary_is_refused(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    ClickVocabulary.learn(CLICKS, FIELDS).save(tmp_path / "v")
    harm(tmp_path / "v")
    with pytest.raises(BundleError, match=r"no vocabulary can be read from .*save it again"):
        ClickVocabulary.load(tmp_path / "v")
