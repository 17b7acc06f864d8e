"""Judges from folders: they see colours, ask questions, and say what is wrong with a folder."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from tests.creative.tiny_judges import COLOURS, plain, tiny_blip, tiny_clip

from etalage.creative.pretrained_judges import ClipJudge, VqaJudge, judge_in, wordings
from etalage.creative.vocabulary import WORDS, Vocabulary
from etalage.errors import DataError, RecipeError

pytest.importorskip("transformers", reason="needs transformers: pip install 'etalage[llm]'")
FOUR = Vocabulary({"colour": (*COLOURS,)}, ("mug",), {}, ())


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_blip(tmp_path_factory.mktemp("blip") / "tiny")


def test_clip_accepts_the_colour_that_is_there_and_no_other(clip: Path) -> None:
    judge = ClipJudge(clip, words=FOUR)
    for seen in COLOURS:
        picture = plain(seen, seed=1000)
        for said in COLOURS:
            verdict = judge.check(picture, [(said, "mug")])
            assert verdict.accepted == (said == seen), (said, seen, verdict)


def test_clip_scores_add_up_over_what_a_thing_may_be(clip: Path) -> None:
    judge = ClipJudge(clip, words=FOUR)
    told = [judge.check(plain("red"), [(said, "mug")]).least for said in COLOURS]
    assert sum(told) == pytest.approx(1, abs=1e-5)


def test_shades_and_parts_are_not_set_against_a_colour() -> None:
    assert "dark red" not in wordings("red")
    assert "red" not in wordings("dark red")
    assert {"blue", "teal"} <= {*wordings("dark red")}
    assert {*wordings("ceramic")} <= {*WORDS.attributes["material"]}
    with pytest.raises(DataError, match="no attribute 'reddish'"):
        wordings("reddish")
    with pytest.raises(DataError, match="no other colour"):
        wordings("red", Vocabulary({"colour": ("red", "dark red")}, ("mug",), {}, ()))


def test_vqa_asks_for_the_first_word_of_the_answer(blip: Path) -> None:
    """The same chance by the other way: what `generate` writes first."""
    import torch

    judge = VqaJudge(blip)
    pairs = [("red", "mug"), ("blue", "mug")]
    verdict = judge.check(plain("red"), pairs)
    for attribute, thing in pairs:
        inputs = judge._processor(
            text=f"is the {thing} {attribute}?", images=plain("red"), return_tensors="pt"
        )
        out = judge._model.generate(
            **inputs, max_new_tokens=1, do_sample=False, output_scores=True,
            return_dict_in_generate=True,
        )  # fmt: skip
        logits = out.scores[0][0, judge._processor.tokenizer.convert_tokens_to_ids(["yes", "no"])]
        chance = float(torch.softmax(logits, -1)[0])
        assert verdict.scores[attribute, thing] == pytest.approx(chance, abs=1e-5)
    assert verdict.scores[pairs[0]] != verdict.scores[pairs[1]]
    assert judge.check(plain("blue"), pairs).scores != verdict.scores


def test_a_picture_with_an_alpha_channel_is_read(blip: Path) -> None:
    judge, picture = VqaJudge(blip), plain("red")
    opaque = judge.check(picture.convert("RGBA"), [("red", "mug")])
    assert opaque == judge.check(picture, [("red", "mug")])


def test_a_folder_says_which_judge_it_holds(clip: Path, blip: Path) -> None:
    assert isinstance(judge_in(clip), ClipJudge)
    judge = judge_in(blip, threshold=0.0)
    assert isinstance(judge, VqaJudge)
    assert judge.check(plain("red"), [("red", "mug")]).accepted


def test_a_fingerprint_is_of_all_that_a_verdict_depends_on(
    clip: Path, blip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(blip, tmp_path / "copy"))
    first = VqaJudge(blip).fingerprint
    assert VqaJudge(copy).fingerprint == first
    assert VqaJudge(copy, threshold=0.6).fingerprint != first
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"note": "other"}))
    assert VqaJudge(copy).fingerprint != first
    assert ClipJudge(clip).fingerprint != ClipJudge(clip, words=FOUR).fingerprint
    for name in ("etalage", "torch", "transformers"):
        with monkeypatch.context() as newer:
            newer.setattr(
                "etalage.creative.pretrained_judges.version",
                lambda asked, name=name: "0.0" if asked == name else version(asked),
            )
            assert VqaJudge(blip).fingerprint != first
    assert VqaJudge(blip).fingerprint == first


def change(folder: Path, **facts: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | facts))


def test_what_is_no_judge_is_told(clip: Path, blip: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere is no folder"):
        judge_in(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no config\.json that names a model"):
        judge_in(tmp_path)
    with pytest.raises(DataError, match="of kind 'clip'; expected 'blip'"):
        VqaJudge(clip)
    with pytest.raises(DataError, match="of kind 'blip'; expected 'clip'"):
        ClipJudge(blip)
    other = Path(shutil.copytree(clip, tmp_path / "other"))
    change(other, model_type="bert")
    with pytest.raises(DataError, match="of kind 'bert'; a judge is clip or blip"):
        judge_in(other)
    for folder in (clip, blip):
        with pytest.raises(RecipeError, match="'gpu' cannot be computed on here"):
            judge_in(folder, "gpu")
    (other / "config.json").write_text("[]")
    with pytest.raises(DataError, match=r"no config\.json that names a model"):
        judge_in(other)


def test_weights_that_are_not_there_are_no_noise(blip: Path, tmp_path: Path) -> None:
    """A BLIP for captions is of the same kind, and would be filled up with random weights."""
    from safetensors.torch import load_file, save_file

    copy = Path(shutil.copytree(blip, tmp_path / "captions"))
    weights = load_file(copy / "model.safetensors")
    kept = {name: w for name, w in weights.items() if not name.startswith("text_encoder")}
    save_file(kept, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match="it has no weights for text_encoder"):
        VqaJudge(copy)
    (copy / "model.safetensors").write_bytes(b"cut short")
    with pytest.raises(DataError, match="holds no BlipForQuestionAnswering that can be loaded"):
        VqaJudge(copy)


def test_a_tokenizer_without_yes_cannot_answer(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no single token for yes and for no"):
        VqaJudge(tiny_blip(tmp_path / "mute", words=("ja", "no")))


def test_what_is_no_pair_is_told(blip: Path) -> None:
    judge = VqaJudge(blip)
    with pytest.raises(DataError, match="pair of texts"):
        judge.check(plain("red"), ["red mug"])  # type: ignore[list-item]
    with pytest.raises(DataError, match="at least one pair"):
        judge.check(plain("red"), [])
