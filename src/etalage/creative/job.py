"""How does a batch of creatives come about? Made one after the other, then laid out to be seen.

```
OUT/creatives/       those that may be shown, with the words they were made of
OUT/gallery.html     all of them, to look at
```
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from etalage.creative.creative_folder import CREATIVES, save
from etalage.creative.gallery import Exhibit, write_gallery
from etalage.creative.generate import Generator, Outcome, Tally
from etalage.creative.request import Request

Wanted = Sequence[tuple[str | None, Request]]
"""Item, if it is of one, and request."""


def run(
    generator: Generator,
    wanted: Wanted,
    out: Path,
    *,
    is_compared: bool = False,
    progress: bool = False,
) -> Tally:
    """Makes what is wanted and writes the two; what was made before is taken from the store.

    Args:
        generator: makes them.
        wanted: items and requests.
        out: folder of what is written.
        is_compared: whether each picture is drawn without guidance too, with the same seed.
        progress: whether to show a bar.

    Raises:
        DataError: when `out` holds other things in the place of what is written.
    """
    CREATIVES.check_place(out / "creatives")  # before hours are spent
    tally, exhibits = Tally(), []
    outcomes = generator.generate([request for _, request in wanted], progress)
    for (item, _), outcome in zip(wanted, outcomes, strict=True):
        tally.add(outcome)
        exhibit = Exhibit(outcome, item or "")
        exhibits.append(_beside_plain(generator, exhibit) if is_compared else exhibit)
    out.mkdir(parents=True, exist_ok=True)
    save(
        [(item, e.outcome) for (item, _), e in zip(wanted, exhibits, strict=True)],
        out / "creatives",
    )
    write_gallery(exhibits, out / "gallery.html")
    return tally


def _beside_plain(generator: Generator, exhibit: Exhibit) -> Exhibit:
    outcome: Outcome = exhibit.outcome
    if outcome.request.guidance is None:
        return exhibit
    seed = outcome.creative.request["seed"]
    plain, _ = generator.picture(replace(outcome.request, seed=seed, guidance=None))
    verdict = None
    if generator.judge is not None:
        verdict = generator.store.verdict(plain, generator.judge, outcome.request.pairs)
    return replace(exhibit, plain=plain, plain_verdict=verdict)
