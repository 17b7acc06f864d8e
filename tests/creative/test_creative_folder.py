"""What may be shown: accepted pictures alone, the best first, and only as they were written."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.creative.drawing import PAIRS, PROMPT, Painter, Reader

from etalage.artefact import sha256_of
from etalage.creative.creative_folder import load, save
from etalage.creative.generate import Generator, Outcome
from etalage.creative.guidance import Guidance
from etalage.creative.request import Request
from etalage.creative.store import CreativeStore
from etalage.errors import BundleError, DataError


@pytest.fixture
def outcomes(tmp_path: Path) -> list[tuple[str | None, Outcome]]:
    generator = Generator(Painter(), CreativeStore(tmp_path / "store"), Reader(), n_tries=1)
    return [
        (f"sku-{seed}", generator.one(Request(PROMPT, PAIRS, Guidance(), seed=seed, n_steps=2)))
        for seed in range(8)
    ]


def test_what_was_refused_is_not_shown(
    outcomes: list[tuple[str | None, Outcome]], tmp_path: Path
) -> None:
    n_shown = save(outcomes, tmp_path / "out")
    accepted = [item for item, outcome in outcomes if outcome.accepted]
    assert 0 < n_shown == len(accepted) < 8
    shown = load(tmp_path / "out")
    assert sorted(str(one.item) for one in shown) == sorted(map(str, accepted))
    assert {one.words for one in shown} == {PROMPT}
    for one in shown:
        assert sha256_of(one.picture) == one.sha256
    told = json.loads((tmp_path / "out" / "creatives.json").read_text())["creatives"]
    assert all(row["is_generated"] is True for row in told)


def test_the_best_stands_first(outcomes: list[tuple[str | None, Outcome]], tmp_path: Path) -> None:
    from etalage.creative.judge import Verdict

    scored = [
        (item, replace(outcome, verdict=Verdict({PAIRS[0]: 0.5 + (n * 5 % 8) / 16})))
        for n, (item, outcome) in enumerate(outcomes)
    ]
    save(scored, tmp_path / "out")
    scores = [one.least for one in load(tmp_path / "out")]
    assert scores == sorted(scores, reverse=True)  # type: ignore[type-var]
    assert len(scores) == 8


def test_a_second_batch_takes_the_place_of_the_first(
    outcomes: list[tuple[str | None, Outcome]], tmp_path: Path
) -> None:
    save(outcomes, tmp_path / "out")
    assert save([], tmp_path / "out") == 0
    assert load(tmp_path / "out") == []
    (tmp_path / "out" / "mine.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"holds mine\.png"):
        save(outcomes, tmp_path / "out")


def told(folder: Path, change: Any) -> None:
    facts = json.loads((folder / "creatives.json").read_text())
    change(facts)
    (folder / "creatives.json").write_text(json.dumps(facts))


@pytest.mark.parametrize(
    "harm",
    [
        lambda facts: facts["creatives"][0].update(picture="../../secret.png"),
        lambda facts: facts["creatives"][0].update(picture="/etc/hostname"),
        lambda facts: facts["creatives"][0].update(picture=7),
        lambda facts: facts["creatives"][0].update(words=""),
        lambda facts: facts["creatives"][0].update(scores=7),
        lambda facts: facts["creatives"][0].pop("item"),
        lambda facts: facts["files"].clear(),
        lambda facts: facts.update(etalage_creatives=2),
        lambda facts: facts.update(creatives=7),
    ],
)
def test_what_was_changed_is_refused(
    outcomes: list[tuple[str | None, Outcome]], tmp_path: Path, harm: Any
) -> None:
    save(outcomes, tmp_path / "out")
    (tmp_path / "secret.png").write_bytes(b"secret")
    told(tmp_path / "out", harm)
    with pytest.raises(BundleError, match="not as it was written"):
        load(tmp_path / "out")


def test_a_picture_that_is_gone_or_another_is_refused(
    outcomes: list[tuple[str | None, Outcome]], tmp_path: Path
) -> None:
    save(outcomes, tmp_path / "out")
    picture = load(tmp_path / "out")[0].picture
    content = picture.read_bytes()
    picture.write_bytes(content + b"x")
    with pytest.raises(BundleError, match="has changed"):
        load(tmp_path / "out")
    picture.unlink()
    with pytest.raises(BundleError, match="not as it was written"):
        load(tmp_path / "out")
    with pytest.raises(BundleError, match="is no folder of creatives"):
        load(tmp_path)
