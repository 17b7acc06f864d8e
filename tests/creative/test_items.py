"""Items and a segment from files: words of the vocabulary, and nothing else."""

import json
from pathlib import Path

import pytest

from etalage.creative.items import read_items, read_segment, scenes_of
from etalage.errors import DataError

MUG = {"id": "sku-7", "thing": "mug", "attributes": {"colour": "red", "material": "ceramic"}}
LIKES = {
    "n_people": 400,
    "likes": {"place": {"kitchen": 120, "garden": 50}, "colour": {"blue": 90}},
}


def written(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows))
    return path


def test_items_become_prompts_for_a_segment(tmp_path: Path) -> None:
    items = read_items(written(tmp_path / "i", MUG, "", {"id": 8, "thing": "Lamp"}))
    alone = list(scenes_of(items, None))
    assert [(item, told.prompt) for item, told in alone] == [
        ("sku-7", "a red ceramic mug"),
        ("8", "a lamp"),
    ]
    segment = read_segment(written(tmp_path / "s", LIKES))
    scenes = list(scenes_of(items[:1], segment, 2))
    assert [told.prompt for _, told in scenes] == [
        "a red ceramic mug beside a blue bowl, in a kitchen",
        "a red ceramic mug beside a blue flowerpot, in a garden",
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2 is no JSON"),
        ("[]", "line 2: expected a JSON object"),
        ({"thing": "mug"}, "line 2: expected the id of an item; got None"),
        ({"id": True, "thing": "mug"}, "expected the id of an item"),
        ({"id": "", "thing": "mug"}, "expected the id of an item"),
        ({"id": "sku-7", "thing": "mug"}, "'sku-7' stands there twice"),
        ({"id": "x", "thing": "dragon"}, "line 2: the vocabulary has no thing 'dragon'"),
        ({"id": "x", "thing": "mug", "attributes": {"colour": "hot"}}, "no colour 'hot'"),
        ({"id": "x", "thing": "mug", "attributes": []}, "values by kind"),
        ({"id": "x", "thing": "mug", "colour": "red"}, "an item has no field 'colour'"),
    ],
)
def test_what_is_no_item_is_told_with_its_line(tmp_path: Path, line: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_items(written(tmp_path / "items.jsonl", MUG, line))


def test_files_that_say_nothing_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no item"):
        read_items(written(tmp_path / "empty", ""))
    with pytest.raises(DataError, match="cannot be read"):
        read_items(tmp_path / "none")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        read_items(tmp_path / "bytes")
    with pytest.raises(DataError, match="expected the fields n_people and likes"):
        read_segment(written(tmp_path / "seg", {"likes": {}}))
    with pytest.raises(DataError, match="at least 20 people"):
        read_segment(written(tmp_path / "seg", {"n_people": 3, "likes": {}}))
