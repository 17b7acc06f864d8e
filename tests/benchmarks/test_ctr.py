"""Are the sides of the ranker benchmark the same model on the rows that it says?"""

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from etalage.layers.quadratic import KhatriRaoLayer
from etalage.train.objectives import self_ensemble

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def paper() -> dict[str, Any]:
    sys.path.insert(0, str(BENCHMARKS / "peers"))  # as for a script
    try:
        return runpy.run_path(str(BENCHMARKS / "peers" / "paper_qnn.py"))
    finally:
        sys.path.remove(str(BENCHMARKS / "peers"))


@pytest.fixture(scope="module")
def cases() -> dict[str, Any]:
    # by import and not by path: a dataclass looks its own module up
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import ctr_cases
    finally:
        sys.path.remove(str(BENCHMARKS))
    return vars(ctr_cases)


@pytest.mark.parametrize("n_heads", [1, 2, 4])
@pytest.mark.parametrize("trains", [True, False])
def test_the_plain_layer_is_ours(paper: dict[str, Any], n_heads: int, trains: bool) -> None:
    torch.manual_seed(0)
    ours = KhatriRaoLayer(3, 4, 5, n_heads).train(trains)
    plain = paper["Layer"](3, 4, 5, n_heads, 0.0).train(trains)
    # published columns stand in the order (H, R, d / H), ours in (R, H, d / H)
    order = torch.arange(60).view(5, n_heads, -1).transpose(0, 1).reshape(-1)
    state = ours.state_dict()
    plain.load_state_dict({k: v[order] if v.ndim and len(v) == 60 else v for k, v in state.items()})
    x = torch.randn(7, 12)
    torch.testing.assert_close(plain(x), ours(x))


def test_the_plain_model_is_as_large_as_published(paper: dict[str, Any]) -> None:
    settings = {"width": 16, "n_layers": 2, "n_rows": 13, "n_heads": 1, "dropout": 0.1}
    model = paper["PaperQNN"]([5374, *[1] * 9], settings)  # 5,383 codes in 10 fields
    assert sum(p.numel() for p in model.parameters()) == 764_369


def test_the_plain_loss_is_ours_and_half_the_squared_tables(paper: dict[str, Any]) -> None:
    torch.manual_seed(0)
    settings = {"width": 4, "n_layers": 2, "n_rows": 3, "n_heads": 1, "dropout": 0.0}
    model = paper["PaperQNN"]([9, 9], settings)
    codes, clicks = torch.randint(1, 9, (20, 2)), torch.randint(0, 2, (20,)).float()
    logits = torch.logit(model.read(model.look_up(codes)))
    squares = sum(table.weight.square().sum() for table in model.tables)
    expected = self_ensemble(logits, logits, clicks) + 0.3 / 2 * squares
    torch.testing.assert_close(model.loss(codes, clicks, 0.3), expected)


def test_the_products_of_a_training_row_cost_what_the_models_are_known_to_cost(
    cases: dict[str, Any],
) -> None:
    """MFLOP a row, forward and both gradients; a QNN-alpha step has 2 L - 1 layers."""
    fields = {"frappe": 10, "movielens": 7, "synthetic-910784": 39, "synthetic-5000000": 39}
    mflop = {}
    for case in cases["CASES"]:
        shapes = cases["trained_maps"](case.settings, fields[case.data])
        mflop[case.name] = sum(6 * n * m for n, m in shapes) / 1e6
    known = {"FM on Frappe": 0, "DCN-V2 on Frappe": 2.34, "DeepFM on 910,784 synthetic codes": 3.4,
             "QNN-alpha on Frappe": 6.0, "QNN-alpha on ML-1M": 0.30}  # fmt: skip
    assert {name: mflop[name] for name in known} == pytest.approx(known, rel=0.01)


def test_synthetic_rows_have_the_codes_that_are_asked_for(cases: dict[str, Any]) -> None:
    train, valid = cases["synthetic"](50_000, (400, 100))
    again, _ = cases["synthetic"](50_000, (400, 100))
    assert sum(train.sizes.values()) == 50_000
    assert len(train.sizes) == 39
    assert (len(train), len(valid)) == (400, 100)
    assert train.categories.min() == 1  # every field has a value
    np.testing.assert_array_equal(train.categories, again.categories)
    # Zipf: the commonest code of the largest field is in a tenth of the rows, its tail is rare
    assert 0.05 < (train.categories[:, 0] == 1).mean() < 0.2
