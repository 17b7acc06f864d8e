"""Do the scripts about generators compare what they say they compare?"""

import pytest
import torch
from tests.benchmarks.scripts import module

from etalage.models.registry import build


def test_every_row_is_a_model_and_no_two_are_one() -> None:
    script = module("generative_quality")
    for row in script.ROWS:
        assert build(script.settings_of(row)).config.tokens.text_encoder == "minilm"
    assert len({script.key_of(row, "beauty", 1) for row in script.ROWS}) == len(script.ROWS)
    one = script.key_of(script.BASE, "beauty", 1)
    assert script.key_of(script.BASE, "beauty", 2) != one
    assert script.key_of(script.BASE, "toys", 1) != one


def test_only_rows_of_like_settings_share_stage_one() -> None:
    script = module("generative_quality")
    whole = script.stage_key("PRORec")
    assert script.stage_key("PRORec, no distillation") == whole
    assert script.stage_key("PRORec, aligned texts alone") == whole
    assert script.stage_key("PRORec, no alignment") != whole


def test_the_same_positions_are_asked_either_way() -> None:
    script = module("generative_training")
    history = torch.tensor([[-1, 3, 4], [5, 6, 7]])
    known = script.DecoderNetwork.asked(None, history)
    assert known.tolist() == [[False, True, True], [True, True, True]]
    last = script.LastOnly.asked(None, history)
    assert last.tolist() == [[False, False, True]] * 2


@pytest.mark.parametrize("name", ["decoding", "generator_serving", "quantisers", "text_encoders"])
def test_scripts_can_be_read_without_running(name: str) -> None:
    pytest.importorskip("transformers", reason="needs: pip install 'etalage[llm]'")
    assert callable(module(name).main)
