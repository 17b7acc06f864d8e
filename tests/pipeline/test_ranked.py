"""Two stages as one recommender: asked wrongly, it says so as any other does."""

import numpy as np
import pytest
from tests.conftest import Exported

from etalage.data.ragged import Histories, ItemSets
from etalage.errors import DataError
from etalage.pipeline.ranked import Ranked


def test_questions_to_both_stages_are_checked_and_cleaned(exported: Exported) -> None:
    served = exported.served
    both = Ranked(served.retriever, served.ranker, served.features, n_candidates=30)
    history = Histories.from_rows([[3, 5, 8]])
    free = both.recommend(history, 5)
    assert (free.items >= 0).all()
    unknown = both.recommend(history, 5, exclude=ItemSets.from_rows([[-1]]))
    assert unknown.items.tolist() == free.items.tolist()
    with pytest.raises(DataError, match="k must be at least 1; got 0"):
        both.recommend(history, 0)
    with pytest.raises(DataError, match="a history has item 120, but there are 120 items"):
        both.recommend(Histories.from_rows([[120]]), 5)
    with pytest.raises(DataError, match="among has item 120"):
        both.recommend(history, 5, among=np.array([120], np.int32))
