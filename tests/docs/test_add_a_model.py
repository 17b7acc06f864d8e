"""The model that the page adds is a model: it fits, answers, and comes back as it was kept."""

import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
from tests.contracts.broken import check_broken_copies
from tests.contracts.test_recommenders import HISTORIES
from tests.contracts.toys import N_ITEMS, shop

from etalage.models.registry import MODELS, build, model_type

PAGE = (Path(__file__).parents[2] / "docs" / "add-a-model.md").read_text(encoding="utf-8")


def test_the_model_of_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    (tmp_path / "page_model.py").write_text(textwrap.dedent(code))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(MODELS, "newest", "page_model:Newest")
    model = build({"kind": "newest"}, "recommender")
    assert model.fit(shop()).seconds > 0
    top = model.recommend(HISTORIES, 3)
    assert top.items.tolist() == [[N_ITEMS - 1, N_ITEMS - 2, N_ITEMS - 3]] * len(HISTORIES)
    model.save(tmp_path / "model")
    loaded = model_type("newest").load(tmp_path / "model")
    assert np.array_equal(loaded.recommend(HISTORIES, 3).items, top.items)
    check_broken_copies(tmp_path / "model", model_type("newest"))
