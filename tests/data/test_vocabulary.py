"""What code does a value get, and what happens to values that training never saw?"""

import polars as pl
import pytest

from etalage.data.fields import Category
from etalage.data.vocabulary import ClickVocabulary
from etalage.errors import DataError

CLICKS = pl.DataFrame(
    {
        "label": [0, 1, 0, 1],
        "shop": ["b", "a", "b", None],
        "shelf": [7, 7, 9, 11],
        "price": [1.0, 3.0, None, 2.0],
    }
)


def test_values_get_codes_by_count_then_text_and_numbers_are_standardised() -> None:
    table = ClickVocabulary.learn(CLICKS).table(CLICKS)
    assert dict(table.sizes) == {"shop": 4, "shelf": 5}
    assert table.categories.tolist() == [[1, 1], [2, 1], [1, 3], [0, 2]]  # "11" < "9" as text
    assert table.number_names == ("price",)
    assert table.numbers[:, 0].tolist() == [-1.0, 1.0, 0.0, 0.0]
    assert table.labels.tolist() == [0, 1, 0, 1]


def test_what_training_never_saw_has_the_last_code() -> None:
    vocabulary = ClickVocabulary.learn(CLICKS)
    later = pl.DataFrame({"shop": ["c", "b", None], "shelf": [8, 9, 7], "price": [2.0, None, 0.0]})
    table = vocabulary.table(later)
    assert table.categories.tolist() == [[3, 4], [1, 3], [0, 1]]
    assert table.clicks is None
    with pytest.raises(DataError, match=r"fields \['price'\] are not in the table.*'shelf'"):
        vocabulary.table(later.drop("price"))


def test_rare_values_share_the_last_code() -> None:
    fields = {"shop": Category(min_count=2), "shelf": Category(min_count=2)}
    table = ClickVocabulary.learn(CLICKS, fields).table(CLICKS)
    assert dict(table.sizes) == {"shop": 3, "shelf": 3}
    assert table.categories.tolist() == [[1, 1], [2, 1], [1, 2], [0, 2]]
