"""What does the window look like? One page, drawn on the server; it needs no script and no net."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

import numpy as np
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from numpy.typing import NDArray

from etalage.serve.runtime.alike import alike
from etalage.serve.runtime.engine import Engine


class Remembered(Protocol):
    """What the page tells of memory."""

    @property
    def n_memories(self) -> int: ...

    @property
    def kept_out(self) -> NDArray[np.int32]:
        """Items that a visitor does not want to see."""


Tile = tuple[int, float, str]
WEB = Path(__file__).parents[1] / "web"
N_SHOWN = 12
N_HISTORY = 18
N_VISITORS = 8
MOST_LINES = 100
MOST_SEARCHES = 30
"""Searches through all titles that one page may ask for; ids are found without."""
MOST_TYPED = 8000
"""Characters of a typed history that are read, the newest."""


def page(
    engine: Engine, given: dict[str, str], tell: Callable[[str], Remembered | None] | None = None
) -> tuple[str, int]:
    """The page for a query, and its status.

    The query holds `visitor`, or `history` with one item a line, and `prefix`, the codes that
    items are to begin with. `tell` knows what is remembered of a visitor.
    """
    visitor, typed = given.get("visitor", "").strip(), given.get("history", "").strip()
    if len(typed) > MOST_TYPED:  # from the next whole item on: half an id may be that of another
        typed = re.split("[,\n]", typed[-MOST_TYPED:], maxsplit=1)[-1]
    history, unknown = _typed(engine, typed)
    problem, status, told = None, 200, None
    if visitor and not typed:
        told = tell(visitor) if tell is not None else None
        stored = engine.visitors.history(visitor)
        if stored is None and not (told and told.n_memories):
            problem = f"Nobody called “{visitor}” was here yet. Someone new sees what is popular."
            status = 404
        elif stored is not None:
            history = stored
    prefix = given.get("prefix", "").strip()
    shared = alike(engine, prefix) if prefix else None
    if shared is not None:
        status = max(status, shared.status)
    started = time.perf_counter()
    answer = engine.recommend(history, N_SHOWN, exclude=None if told is None else told.kept_out)
    total = 1000 * (time.perf_counter() - started)
    past = [_card(engine, i) for i in history[::-1][:N_HISTORY].tolist()]
    ids = [str(c) for c in engine.catalogue.ids.externals(history)]
    cards = []
    reasons = engine.reasons(history, answer.items)
    for place, item in enumerate(answer.items.tolist()):
        card = _card(engine, item)
        if answer.probabilities is not None:
            card["probability"] = float(answer.probabilities[place])
        card["why"] = [engine.catalogue.card(i)["title"] for i, _ in reasons[place]]
        card["add"] = "?" + urlencode({"history": "\n".join([*ids[-MOST_LINES:], str(card["id"])])})
        cards.append(card)
    widest = max((c.get("probability", 0.0) for c in cards), default=0.0)
    html = (
        _templates()
        .get_template("window.html")
        .render(
            name=engine.manifest["name"],
            version=engine.manifest["model_version"],
            n_items=len(engine.catalogue.ids),
            visitors=[str(v) for v in engine.visitors.ids.ids[:N_VISITORS]],
            visitor="" if typed else visitor,
            typed=typed,
            history=past,
            n_history=len(history),
            cards=cards,
            widest=widest,
            unknown=unknown,
            problem=problem,
            degraded=answer.degraded,
            examples=_examples(engine),
            stages=answer.milliseconds,
            total=total,
            is_new=not len(history),
            remembered=told,
            shared=shared,
            steps=[] if shared is None else _tiles([code for _, code, _ in shared.steps]),
            alike=[] if shared is None else [_card(engine, item) for item in shared.items],
        )
    )
    return html, status


def _typed(engine: Engine, text: str) -> tuple[NDArray[np.int32], list[str]]:
    """Items of a typed history, one a line or between commas, by id or words of a title."""
    n_searches = n_parts = 0

    @cache
    def find(words: str) -> tuple[int, ...]:
        nonlocal n_searches
        if words not in engine.catalogue.ids:
            n_searches += 1
            if n_searches > MOST_SEARCHES:
                return ()
        return tuple(engine.catalogue.search(words))

    items: list[list[int]] = []
    unknown: list[list[str]] = []
    whole_lines = map(str.strip, text.splitlines()[-MOST_LINES:])  # a title may hold commas
    for whole in reversed([*filter(None, whole_lines)]):  # the newest are those that count
        found, missed = [*find(whole)], []
        for part in [] if found else filter(None, map(str.strip, whole.split(","))):
            n_parts += 1
            item = find(part) if n_parts <= MOST_LINES else ()
            found += item
            missed += [] if item else [part]
        items.append(found)
        unknown.append(missed)
    typed = np.array([*chain.from_iterable(reversed(items))], dtype=np.int32)
    return typed, [*chain.from_iterable(reversed(unknown))]


def _examples(engine: Engine) -> str:
    """What one might type: two well-known items, by what the shop calls them."""
    return "\n".join(_card(engine, item)["title"] for item in engine.popular[:2].tolist())


def _card(engine: Engine, item: int) -> dict[str, Any]:
    card = engine.catalogue.card(item)
    tiles = _tiles(card["codes"] or [])
    return card | {
        "tiles": tiles,
        "picture": picture(str(card["category"]), str(card["id"]), tiles),
    }


def _tiles(codes: list[int]) -> list[Tile]:
    """Each code, its hue, and the prefix that it ends."""
    return [
        (code, code * 137.508 % 360, "-".join(map(str, codes[: n + 1])))
        for n, code in enumerate(codes)
    ]


def picture(category: str, item: str, tiles: list[Tile]) -> Markup:
    """A still life in place of a photograph: its hue is the category, its colours the codes."""
    seed = blake2b(item.encode(), digest_size=8).digest()
    digest = blake2b(category.encode(), digest_size=2).digest()
    hue = int.from_bytes(digest) % 360
    hues = [t[1] for t in tiles[:3]] or [hue + 40, hue + 80, hue - 40]
    shapes = []
    foot, gap = 118, 150 / (len(hues) + 1)
    for n, shape_hue in enumerate(hues):
        a, b, c = seed[n], seed[n + 3], seed[n + 5]
        x, size = round(25 + (n + 1) * gap) + a % 13 - 6, 20 + b % 16
        fill = f"hsl({shape_hue:.0f} 42% 58% / .82)"
        if c % 3 == 0:
            shapes.append(f'<circle cx="{x}" cy="{foot - size}" r="{size}" fill="{fill}"/>')
        elif c % 3 == 1:
            shapes.append(
                f'<rect x="{x - size * 0.7:.0f}" y="{foot - 2 * size}" width="{1.4 * size:.0f}" '
                f'height="{2 * size}" rx="{4 + b % 12}" fill="{fill}"/>'
            )
        else:
            shapes.append(
                f'<path d="M{x - size} {foot}a{size} {1.7 * size:.0f} 0 0 1 {2 * size} 0z" '
                f'fill="{fill}"/>'
            )
    return Markup(
        '<svg viewBox="0 0 200 140" aria-hidden="true" preserveAspectRatio="xMidYMid slice">'
        f'<rect width="200" height="140" style="fill:hsl({hue} 38% var(--wall))"/>'
        f'<rect y="118" width="200" height="22" style="fill:hsl({hue} 30% var(--table))"/>'
        f"{''.join(shapes)}</svg>"
    )


def apology() -> str:
    """The page for when the page cannot be drawn."""
    return str(_templates().get_template("apology.html").render())


@cache
def style() -> str:
    """The style sheet."""
    return (WEB / "window.css").read_text(encoding="utf-8")


@cache
def _templates() -> Environment:
    environment = Environment(loader=FileSystemLoader(WEB), autoescape=True, trim_blocks=True)
    environment.filters["short"] = lambda text: re.sub(r"\s+", " ", str(text))[:90]
    return environment
