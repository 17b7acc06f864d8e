"""A pipeline from a folder: opened, told by its weights, and drawing what diffusers would draw."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

pytest.importorskip("diffusers", reason="needs diffusers: pip install 'etalage[creative]'")

from tests.creative.small_models import PAIRS, PROMPT, pixart_pipeline
from tests.creative.tiny_judges import tiny_blip

from etalage.cli.main import app
from etalage.creative.creative_folder import load
from etalage.creative.generate import Generator
from etalage.creative.guidance import Guidance
from etalage.creative.maker import Maker, open_pipeline
from etalage.creative.request import Request
from etalage.creative.store import CreativeStore
from etalage.errors import DataError, RecipeError

SETTINGS = {"use_resolution_binning": False, "clean_caption": False, "max_sequence_length": 12}
EAGER = Guidance(start=0.0, least_separation=0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pipeline") / "pixart"
    pixart_pipeline().save_pretrained(place)
    return place


def test_a_pipeline_is_told_by_its_weights_wherever_it_lies(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    maker = Maker.of(open_pipeline(folder), SETTINGS)
    assert maker == Maker.of(open_pipeline(copy), SETTINGS)
    assert maker == Maker.of(pixart_pipeline(), SETTINGS)
    assert json.loads(json.dumps(maker.told())) == maker.told()
    assert maker.scheduler["class"] == "DPMSolverMultistepScheduler"
    assert str(tmp_path) not in json.dumps(maker.told())
    assert Maker.of(open_pipeline(folder, dtype="bfloat16"), SETTINGS).weights != maker.weights
    config = json.loads((copy / "scheduler" / "scheduler_config.json").read_text())
    changed = json.dumps(config | {"solver_order": 1})
    (copy / "scheduler" / "scheduler_config.json").write_text(changed)
    assert Maker.of(open_pipeline(copy), SETTINGS).weights == maker.weights
    assert Maker.of(open_pipeline(copy), SETTINGS) != maker
    one = open_pipeline(folder)
    with torch.no_grad():
        next(one.vae.parameters()).view(-1)[0] += 1e-3
    assert Maker.of(one, SETTINGS).weights != maker.weights


def test_a_plain_request_is_what_diffusers_draws(folder: Path, tmp_path: Path) -> None:
    from diffusers import PixArtAlphaPipeline

    request = Request(PROMPT, n_steps=3, seed=7)
    generator = Generator(open_pipeline(folder), CreativeStore(tmp_path), settings=SETTINGS)
    creative = generator.one(request).creative
    stock = PixArtAlphaPipeline.from_pretrained(folder, local_files_only=True)
    stock.set_progress_bar_config(disable=True)
    noise = torch.Generator().manual_seed(7)
    expected = stock(PROMPT, num_inference_steps=3, generator=noise, **SETTINGS).images[0]
    assert np.array_equal(np.asarray(creative.image()), np.asarray(expected))


def test_a_guided_request_is_another_picture_with_its_masks(folder: Path, tmp_path: Path) -> None:
    generator = Generator(open_pipeline(folder), CreativeStore(tmp_path), settings=SETTINGS)
    guided = Request(PROMPT, tuple(PAIRS), EAGER, n_steps=4)
    plain = generator.one(Request(PROMPT, tuple(PAIRS), n_steps=4)).creative
    creative = generator.one(guided).creative
    assert creative.sha256 != plain.sha256
    told = creative.coherence()
    assert told["masks"].shape == (4, 2, 4, 4)
    assert told["objects"].tolist() == ["circle", "square"]
    assert told["edited"][1:].all()
    direct = pixart_pipeline()(
        PROMPT, bindings=PAIRS, num_inference_steps=4, scg_start=0.0, scg_least_separation=0.0,
        generator=torch.Generator().manual_seed(0), **SETTINGS,
    ).images[0]  # fmt: skip
    assert np.array_equal(np.asarray(creative.image()), np.asarray(direct))
    shares = (("circle", 0.25), ("square", 0.5))
    parts = Guidance(start=0.0, least_separation=0.0, mask="ratio")
    told = generator.one(
        Request(PROMPT, tuple(PAIRS), parts, shares, n_steps=4)
    ).creative.coherence()
    assert told["masks"][-1].sum((-1, -2)).tolist() == [4, 8]


def test_the_same_folder_finds_its_pictures_again(folder: Path, tmp_path: Path) -> None:
    requests = [Request(PROMPT, tuple(PAIRS), EAGER, n_steps=2, seed=seed) for seed in range(3)]
    store = CreativeStore(tmp_path)
    first = list(Generator(open_pipeline(folder), store, settings=SETTINGS).generate(requests))
    again = list(Generator(open_pipeline(folder), store, settings=SETTINGS).generate(requests))
    assert [o.n_made for o in first] == [1, 1, 1]
    assert [o.n_made for o in again] == [0, 0, 0]
    assert [o.creative.sha256 for o in again] == [o.creative.sha256 for o in first]


def test_what_is_no_pipeline_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no dtype of weights"):
        open_pipeline(folder, dtype="int8")
    for device in ("gpu", "cuda:97"):
        with pytest.raises(RecipeError, match=f"'{device}' cannot be computed on here"):
            open_pipeline(folder, device)
    broken = Path(shutil.copytree(folder, tmp_path / "broken"))
    shutil.rmtree(broken / "vae")
    with pytest.raises(DataError, match="holds no PixArtAlphaPipeline that can be loaded"):
        open_pipeline(broken)


def test_a_size_that_the_pipeline_refuses_is_told(folder: Path, tmp_path: Path) -> None:
    generator = Generator(open_pipeline(folder), CreativeStore(tmp_path), settings=SETTINGS)
    with pytest.raises(RecipeError, match=r"refuses this: .*divisible by 8 but are 20 and 16"):
        generator.one(Request(PROMPT, n_steps=2, width=16, height=20))
    assert list(tmp_path.iterdir()) == []


def test_opening_says_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    open_pipeline(folder)
    assert capfd.readouterr() == ("", "")


def test_the_command_makes_judges_and_lays_out(folder: Path, tmp_path: Path) -> None:
    more: list[Any] = [f"--set={name}={str(value).lower()}" for name, value in SETTINGS.items()]
    words = ["creative", "generate", PROMPT, "--binding", "red:circle", "--binding", "blue:square",
             "--pipeline", folder, "--judge", tiny_blip(tmp_path / "blip"), "--threshold", 0.0,
             "--out", tmp_path / "out", "--n", 2, "--steps", 2, *more]  # fmt: skip
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == 0, done.output
    assert len(load(tmp_path / "out" / "creatives")) == 2
    html = (tmp_path / "out" / "gallery.html").read_text()
    assert html.count("<img ") == 2 * 4
    assert "1.00 pictures were looked at" in html
