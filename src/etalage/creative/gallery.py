"""What came out? Pictures beside those without guidance, with masks and verdicts, in one file.

Letters: T steps, K objects.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

from etalage.artefact import whole_file
from etalage.creative.bindings import locate
from etalage.creative.generate import Outcome, Tally
from etalage.creative.judge import Verdict
from etalage.creative.map_pictures import lit
from etalage.creative.store import Creative

if TYPE_CHECKING:
    from PIL.Image import Image

WIDTH = 448
"""Pixels of a picture in the page."""
HUES = (16, 196, 276, 96, 46, 336)
"""One for each object, in turn."""


@dataclass(frozen=True)
class Exhibit:
    """What is shown of one request."""

    outcome: Outcome
    name: str = ""
    """The item that it is of, if any."""
    plain: Creative | None = None
    """The same seed without guidance."""
    plain_verdict: Verdict | None = None


def write_gallery(exhibits: Sequence[Exhibit], path: Path, title: str = "Creatives") -> None:
    """Writes a page: style and pictures inside, no script, no network."""
    html = render(exhibits, title)
    with whole_file(path) as draft:
        draft.write_text(html, encoding="utf-8")


def render(exhibits: Sequence[Exhibit], title: str = "Creatives") -> str:
    """The page as HTML."""
    tally = Tally()
    for exhibit in exhibits:
        tally.add(exhibit.outcome)
    rows = [_row(exhibit) for exhibit in exhibits]
    return str(_template().render(title=title, headline=headline(exhibits, tally), rows=rows))


def headline(exhibits: Sequence[Exhibit], tally: Tally) -> list[str]:
    """What came of it, in sentences."""
    n = len(exhibits)
    if not tally.n_judged:
        return [f"{n} picture{'s' if n != 1 else ''}, which nobody judged."]
    said = [f"{tally.n_accepted} of {tally.n_judged} pictures show what was asked for."]
    if tally.images_per_accepted is not None:
        said.append(f"{tally.images_per_accepted:.2f} pictures were looked at for each of them.")
    plain = [e.plain_verdict for e in exhibits if e.plain_verdict is not None]
    if plain:
        n_plain = sum(verdict.accepted for verdict in plain)
        said.append(
            f"Without guidance, {n_plain} of {len(plain)} would do with the same seeds; these were "
            "kept for their guided pictures, so that is no contest of the two."
        )
    return said


def _row(exhibit: Exhibit) -> dict[str, Any]:
    creative, asked = exhibit.outcome.creative, exhibit.outcome.request
    image = creative.image()
    guidance = creative.request["guidance"]
    return {
        "name": exhibit.name,
        "prompt": _marked(asked.prompt, creative),
        "guided": _data(image),
        "plain": None if exhibit.plain is None else _data(exhibit.plain.image()),
        "plain_scores": _scores(exhibit.plain_verdict),
        "masks": _masks(creative, image),
        "scores": _scores(exhibit.outcome.verdict),
        "accepted": exhibit.outcome.accepted,
        "is_judged": exhibit.outcome.verdict is not None,
        "strength": None if guidance is None else guidance["strength"],
        "seed": creative.request["seed"],
        "n_images": exhibit.outcome.n_images,
        "n_steps": creative.request["n_steps"],
        "key": creative.key[:12],
        "seconds": creative.facts["seconds"],
    }


def _marked(prompt: str, creative: Creative) -> Markup:
    """A prompt with what belongs together in one colour."""
    html, at = Markup(""), 0
    bindings = locate(prompt, creative.pairs)
    phrases = [(p, n) for n, b in enumerate(bindings) for p in (b.object, *b.attributes)]
    for phrase, number in sorted(phrases):
        if phrase.start < at:  # within another, as the red of dark red
            continue
        html += escape(prompt[at : phrase.start])
        html += Markup('<b style="--hue:{}">{}</b>').format(_hue(number), phrase.text)
        at = phrase.end
    return html + escape(prompt[at:])


def _hue(number: int) -> int:
    return HUES[number % len(HUES)]


def _scores(verdict: Verdict | None) -> list[dict[str, Any]]:
    if verdict is None:
        return []
    return [
        {"said": " ".join(pair), "score": score, "good": score >= verdict.threshold}
        for pair, score in verdict.scores.items()
    ]


def _masks(creative: Creative, image: Image) -> list[dict[str, Any]]:
    """For each object the picture, lit where the mask was, as often as it was."""
    told = creative.coherence()
    if not told:
        return []
    shares = told["masks"].mean(0)  # (K, h, w), of steps
    found = []
    for number, thing in enumerate(told["objects"].tolist()):
        found.append(
            {
                "said": thing,
                "hue": _hue(number),
                "picture": _data(lit(image, shares[number])),
                "share": float(told["masks"][:, number].mean()),
                "n_edited": int(told["edited"][:, number].sum()),
                "n_steps": len(told["edited"]),  # some schedulers ask twice a step
            }
        )
    return found


def _data(image: Image) -> str:
    """A picture as a data URI; small ones keep their pixels visible."""
    from PIL import Image as Images

    way = Images.Resampling.NEAREST if image.width < WIDTH else Images.Resampling.LANCZOS
    height = max(1, round(image.height * WIDTH / image.width))
    stream = io.BytesIO()
    image.convert("RGB").resize((WIDTH, height), way).save(stream, "WEBP", quality=85)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()


@cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("etalage.creative"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("gallery.html")
