"""Every network is as large as the published run of it, to the unit.

The public benchmark BARS gives parameters and settings of its runs on Frappe_x1: vectors of 10 and
5,389 codes in ten fields, or 5,399 where places that stand for nothing were counted too. The logs
of QNN-alpha give those of its unions.
"""

import pytest

from etalage.models.ranking.network import Columns
from etalage.models.registry import model_type

FRAPPE = Columns((5380, *[1] * 9), 0, 0)
FRAPPE_PADDED = Columns((5390, *[1] * 9), 0, 0)
FRAPPE_RARE = Columns((5374, *[1] * 9), 0, 0)  # codes seen twice: 5,383
MOVIELENS = Columns((9745, *[1] * 6), 0, 0)  # 9,751 codes in seven fields
DEEP = {"width": 10, "hidden": (400, 400, 400), "batch_norm": True}
EXACT = [
    ("lr", {}, 5_390),
    ("fm", {"width": 10}, 59_280),
    ("dnn", DEEP, 417_891),
    ("wide_deep", DEEP, 423_280),
    ("deepfm", DEEP, 423_280),
    ("dcn", DEEP | {"n_crosses": 3}, 418_591),
    ("dcn_v2", DEEP | {"n_crosses": 4}, 458_391),
    ("autoint", {"width": 10, "n_layers": 6, "attention_width": 128}, 306_051),
    ("masknet", {"width": 10, "hidden": (400, 400, 400), "blocks": (50, 50, 50),
                 "normalise_fields": False}, 571_691),
]  # fmt: skip
ONE_CONSTANT = [
    ("xdeepfm", FRAPPE, DEEP | {"cin": (64,)}, 429_809),
    ("autoint", FRAPPE,
     DEEP | {"n_layers": 5, "attention_width": 128, "layer_norm": True}, 622_180),
    ("finalnet", FRAPPE_PADDED, {"width": 10, "blocks": ((400, 400), (400,))}, 338_502),
    ("finalmlp", FRAPPE_PADDED,
     {"width": 10, "streams": ((400,), (100,)), "n_heads": 5, "batch_norm": True,
      "gate_fields": (0, 1), "gate_hidden": (400,)}, 253_392 - (956 + 4084) * 10),
]  # fmt: skip
"""The published ones have two constants in the logit, where one says the same. The gates of the
published FinalMLP have tables of their own for two fields of 956 and 4,084 codes; here they read
the vectors that there are."""
UNIONS = [
    ("dcn_v2", MOVIELENS, {"n_layers": 1, "n_rows": 4, "n_heads": 4, "n_crosses": 2}, 233_521),
    ("dcn_v2", FRAPPE_RARE, {"n_layers": 3, "n_rows": 9, "n_crosses": 4}, 894_929),
    ("deepfm", MOVIELENS, {"n_layers": 1, "n_rows": 4}, 217_401 - 1),
    ("deepfm", FRAPPE_RARE, {"n_layers": 3, "n_rows": 8}, 717_593 - 1),
    ("xdeepfm", MOVIELENS, {"n_layers": 1, "n_rows": 4, "cin": (32,)}, 219_033 - 1),
    ("xdeepfm", FRAPPE_RARE, {"n_layers": 3, "n_rows": 5, "cin": (64, 64)}, 530_489 - 1),
]
"""Less the second constant of the published logit, where it has two."""


def size(kind: str, columns: Columns, settings: dict[str, object]) -> int:
    model = model_type(kind)
    network = model.network_type(columns, model.config_type(**settings))
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("kind", "settings", "published"), EXACT)
def test_it_is_as_large_as_published(
    kind: str, settings: dict[str, object], published: int
) -> None:
    assert size(kind, FRAPPE, settings) == published


@pytest.mark.parametrize(("kind", "columns", "settings", "published"), ONE_CONSTANT)
def test_it_is_one_constant_smaller_than_published(
    kind: str, columns: Columns, settings: dict[str, object], published: int
) -> None:
    assert size(kind, columns, settings) == published - 1


@pytest.mark.parametrize(("union", "columns", "settings", "expected"), UNIONS)
def test_unions_of_qnn_are_as_large_as_published(
    union: str, columns: Columns, settings: dict[str, object], expected: int
) -> None:
    assert size("qnn", columns, settings | {"union": union}) == expected
