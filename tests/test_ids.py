"""One way to write a number as an id, in files and in requests."""

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from etalage.data.formats.source import integers_where_exact
from etalage.ids import UNKNOWN, Vocabulary

NUMBERS = Vocabulary([17, -4, 0, 2**63 - 1])


@pytest.mark.parametrize("text", ["17", "-4", "0", "9223372036854775807"])
def test_the_text_of_a_number_is_its_id(text: str) -> None:
    assert NUMBERS.index(text) == NUMBERS.index(int(text)) >= 0


@pytest.mark.parametrize(
    "text", ["1_7", " 17 ", "17\n", "017", "+17", "１７", "١٧", "17.0", "-0", "--4", "", "9" * 5000]
)
def test_other_ways_to_write_it_are_other_ids(text: str) -> None:
    assert NUMBERS.index(text) == UNKNOWN


@given(st.text(alphabet="0123456789+-_ .\n１٧", max_size=20) | st.integers().map(str))
@example("9223372036854775808")
@example("-9223372036854775808")
def test_a_file_and_a_request_agree_on_what_a_number_is(text: str) -> None:
    column = integers_where_exact(pl.Series([text]))
    if column.dtype == pl.Int64:
        assert str(column[0]) == text
        assert Vocabulary(column.to_list()).index(text) == 0
    else:
        assert Vocabulary([17]).index(text) == UNKNOWN
        assert Vocabulary([text]).index(text) == 0
