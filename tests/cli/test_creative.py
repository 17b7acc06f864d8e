"""What one types to make pictures, to judge them and to show them."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.creative.drawing import Painter, Reader
from tests.creative.showing import written
from typer.testing import CliRunner, Result

from etalage.cli.main import app
from etalage.creative.creative_folder import load
from etalage.creative.pictures import read_picture


def typed(*words: object) -> Result:
    return CliRunner().invoke(app, ["creative", *map(str, words)])


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch) -> Painter:
    """What stands in the place of a pipeline and a judge from folders."""
    painter = Painter()
    monkeypatch.setattr("etalage.creative.maker.open_pipeline", lambda *asked: painter)
    monkeypatch.setattr("etalage.creative.pretrained_judges.judge_in", lambda *asked: Reader())
    return painter


def test_a_prompt_becomes_pictures_and_a_page(painter: Painter, tmp_path: Path) -> None:
    asked = ("generate", "a red mug beside a blue bowl", "--pipeline", "p", "--judge", "j",
             "--out", tmp_path / "out", "--n", 5, "--steps", 3)  # fmt: skip
    done = typed(*asked)
    assert done.exit_code == 0, done.output
    assert re.search(r"pictures wanted +5", done.output)
    cost = float(re.search(r"images generated per accepted +(\d+\.\d\d)", done.output)[1])  # type: ignore[index]
    assert cost > 1
    shown = load(tmp_path / "out" / "creatives")
    assert len(shown) == int(re.search(r"accepted +(\d)", done.output)[1])  # type: ignore[index]
    for one in shown:
        assert Reader().check(read_picture(one.picture), PAIRS).accepted
    assert "Without guidance" in (tmp_path / "out" / "gallery.html").read_text()
    made = len(painter.asked)
    again = typed(*asked)
    assert re.search(r"made now +0", again.output)
    assert len(painter.asked) == made


PAIRS = (("red", "mug"), ("blue", "bowl"))


def test_bindings_are_found_or_given(painter: Painter, tmp_path: Path) -> None:
    common = ("--pipeline", "p", "--no-baseline", "--steps", 2)
    typed("generate", "a red mug and a blue bowl", "--out", tmp_path / "a", *common)
    assert painter.asked[-1]["bindings"] == [*PAIRS]
    typed("generate", "a red mug and a blue bowl", "--out", tmp_path / "b", *common,
          "--binding", "red:bowl", "--binding", "blue:mug")  # fmt: skip
    assert painter.asked[-1]["bindings"] == [("red", "bowl"), ("blue", "mug")]
    done = typed("generate", "nothing of note", "--out", tmp_path / "c", *common)
    assert done.exit_code == 0
    assert "nothing is bound" in done.output
    assert painter.asked[-1]["bindings"] is None
    typed("generate", "a red mug", "--out", tmp_path / "d", *common, "--strength", 1)
    assert painter.asked[-1]["bindings"] is None


def test_settings_and_strength_reach_the_pipeline(painter: Painter, tmp_path: Path) -> None:
    common = ("generate", "a red mug", "--pipeline", "p", "--no-baseline", "--steps", 2)
    typed(*common, "--out", tmp_path / "a", "--strength", 7, "--set", "brightness=0.5")
    assert painter.asked[-1]["strength"] == 7
    [kept] = load(tmp_path / "a" / "creatives")
    assert max(read_picture(kept.picture).getpixel((16, 16))) == 100  # type: ignore[arg-type,type-var]
    done = typed(*common, "--out", tmp_path / "b", "--set", "brightnes=0.5")
    assert done.exit_code == 1
    assert "did you mean 'brightness'" in done.output


def test_items_and_a_segment_become_pictures_of_items(painter: Painter, tmp_path: Path) -> None:
    items, segment = tmp_path / "items.jsonl", tmp_path / "segment.json"
    items.write_text('{"id": "item-00003", "thing": "mug", "attributes": {"colour": "red"}}\n')
    likes = {"place": {"kitchen": 90}, "colour": {"blue": 80}}
    segment.write_text(json.dumps({"n_people": 100, "likes": likes}))
    done = typed("generate", "--items", items, "--segment", segment, "--pipeline", "p",
                 "--out", tmp_path / "out", "--judge", "j", "--tries", 9)  # fmt: skip
    assert done.exit_code == 0, done.output
    [shown] = load(tmp_path / "out" / "creatives")
    assert (shown.item, shown.words) == ("item-00003", "a red mug beside a blue bowl, in a kitchen")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give a prompt, or --items"),
        (("a mug", "--items", "i"), "give a prompt, or --items"),
        (("a mug", "--segment", "s"), "--segment and --scenes go with --items"),
        (("a mug", "--scenes", 2), "--segment and --scenes go with --items"),
        (("--items", "i", "--binding", "red:mug"), "items bring their bindings"),
        (("--items", "i", "--scenes", 2), "give it with --segment"),
        (("--items", "none.jsonl"), "cannot be read"),
        (("a mug", "--binding", "red mug"), "a binding is attribute:object"),
        (("a mug", "--binding", "red:mug"), "does not say 'red' of 'mug'"),
        (("a red mug", "--set", "prompt=x"), "prompt belongs to each request"),
    ],
)
def test_what_cannot_be_is_told(
    painter: Painter, tmp_path: Path, words: tuple[Any, ...], said: str
) -> None:
    done = typed("generate", *words, "--pipeline", "p", "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert said in " ".join(done.output.split())
    assert painter.asked == []


def test_places_that_are_taken_are_told_before_anything_is_made(
    painter: Painter, tmp_path: Path
) -> None:
    (tmp_path / "out" / "creatives").mkdir(parents=True)
    (tmp_path / "out" / "creatives" / "mine.txt").write_text("keep")
    done = typed("generate", "a red mug", "--pipeline", "p", "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "is no folder of creatives" in " ".join(done.output.split())
    (tmp_path / "file").write_text("")
    done = typed("generate", "a red mug", "--pipeline", "p", "--out", tmp_path / "file")
    assert done.exit_code == 1
    assert "is a file" in done.output
    assert painter.asked == []


def test_an_interrupted_run_says_that_it_goes_on(painter: Painter, tmp_path: Path) -> None:
    painter.fails_after = 2
    asked = ("generate", "a red mug", "--pipeline", "p", "--out", tmp_path / "out", "--n", 4)
    done = typed(*asked)
    assert done.exit_code == 130
    assert "the same command goes on" in done.output
    painter.fails_after = None
    assert re.search(r"made now +[234]", typed(*asked).output)


def test_a_folder_that_is_no_pipeline_is_told(tmp_path: Path) -> None:
    done = typed("generate", "a red mug", "--pipeline", tmp_path / "none", "--out", tmp_path / "o")
    assert done.exit_code == 1
    assert "is no folder" in " ".join(done.output.split())
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    done = typed("generate", "a red mug", "--pipeline", tmp_path, "--out", tmp_path / "o")
    assert "what can be guided is PixArtAlphaPipeline" in " ".join(done.output.split())
    (tmp_path / "model_index.json").write_text('{"_class_name": ["own_pipeline", "Own"]}')
    done = typed("generate", "a red mug", "--pipeline", tmp_path, "--out", tmp_path / "o")
    assert "holds a ['own_pipeline', 'Own']" in " ".join(done.output.split())
    (tmp_path / "model_index.json").write_text("[]")
    done = typed("generate", "a red mug", "--pipeline", tmp_path, "--out", tmp_path / "o")
    assert "no model_index.json that names one" in " ".join(done.output.split())


def test_pictures_are_judged_one_by_one(painter: Painter, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8), (200, 30, 30)).save(tmp_path / "good.png")
    Image.new("RGB", (8, 8), (30, 60, 200)).save(tmp_path / "bad.png")
    asked = ("--binding", "red:mug", "--judge", "j")
    done = typed("judge", tmp_path / "good.png", *asked)
    assert done.exit_code == 0
    assert re.search(r"accepted +\S+good\.png: red mug 1\.00", done.output)
    done = typed("judge", tmp_path / "good.png", tmp_path / "bad.png", *asked)
    assert done.exit_code == 3
    assert re.search(r"refused +\S+bad\.png: red mug 0\.00", done.output)
    (tmp_path / "text.png").write_text("no picture")
    done = typed("judge", tmp_path / "text.png", *asked)
    assert done.exit_code == 1
    assert "cannot be read as a picture" in " ".join(done.output.split())


def test_pictures_are_put_into_a_bundle(bundle: Path, tmp_path: Path) -> None:
    done = typed("install", bundle, written(tmp_path / "c", "item-00003", "sku-1"))
    assert done.exit_code == 0, done.output
    assert "pictures of 1 items" in done.output
    assert "sells no sku-1" in done.output
    assert (bundle / "creatives" / "pictures.bin").exists()


def test_a_store_is_pruned(painter: Painter, tmp_path: Path) -> None:
    typed("generate", "a red mug", "--pipeline", "p", "--out", tmp_path / "out", "--n", 3)
    done = typed("prune", tmp_path / "out" / "store", "--most-mb", 0)
    assert done.exit_code == 0
    assert re.search(r"store: [3-6] deleted, 0\.0 MB left", done.output.replace("\n", ""))


@pytest.mark.parametrize("command", ["generate", "judge", "install", "prune"])
def test_help_is_cheap(command: str) -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from etalage.cli.main import app\n"
        f"done = CliRunner().invoke(app, ['creative', '{command}', '--help'])\n"
        "assert done.exit_code == 0, done.output\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'PIL', 'numpy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
