"""Ensembles: the mean of their members, who differ by their seeds; time that was spent is kept."""

from pathlib import Path

import numpy as np
import pytest
from tests.contracts.test_rankers import impressions

from etalage.errors import RecipeError
from etalage.models.registry import build
from etalage.train.context import TrainContext

MEMBER = {"kind": "fm", "training": {"epochs": 2, "batch_size": 128, "monitor": None}}


def test_logits_are_the_mean_of_members_from_other_seeds() -> None:
    table = impressions(400)
    model = build({"kind": "ensemble", "members": [MEMBER, MEMBER]})
    report = model.fit(table)
    one, two = (member.score(table) for member in model.members)
    assert np.abs(one - two).max() > 1e-4
    np.testing.assert_allclose(model.score(table), (one + two) / 2, rtol=1e-5, atol=1e-6)
    assert report.n_parameters == sum(
        w.numel() for member in model.members for w in member.network.parameters()
    )


def test_a_resumed_fit_counts_what_its_members_took(tmp_path: Path) -> None:
    settings = {"kind": "ensemble", "members": [MEMBER, MEMBER]}
    first = build(settings).fit(impressions(3000), TrainContext(folder=tmp_path))
    again = build(settings).fit(impressions(3000), TrainContext(folder=tmp_path))
    assert again.seconds > 0.8 * first.seconds
    assert again.cpu_seconds > 0.8 * first.cpu_seconds


def test_members_must_be_rankers_with_a_network() -> None:
    with pytest.raises(RecipeError, match="with a network, not ensemble"):
        build({"kind": "ensemble", "members": [MEMBER, {"kind": "ensemble"}]})
    with pytest.raises(RecipeError, match="did you mean"):
        build({"kind": "ensemble", "members": [MEMBER, {"kind": "qnm"}]})
