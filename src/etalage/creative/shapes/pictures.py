"""What is drawn, and in which words is it said? Three tasks of two parts with an attribute each.

- coarse: "a red circle and a blue square", two objects side by side;
- fine: "a red circle with a blue stem", two parts of one object, the second about a quarter of it;
- style: "a striped circle on a checked background", textures of an object and of what is behind it.

Objects lie on a grid of `CELL` pixels, `SIDE` pixels are a side. They are dark on light, and much
more so than one colour or texture differs from another: as noise falls, a picture shows what is
where before it shows how it looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from etalage.errors import DataError

SIDE, CELL = 32, 4
TASKS = ("coarse", "fine", "style")
SHAPES = ("circle", "square", "triangle", "cross")
STEM, BACKGROUND = "stem", "background"
COLOURS = {"red": (150, 20, 20), "green": (20, 115, 30), "blue": (25, 40, 165),
           "yellow": (140, 115, 0)}  # fmt: skip
"""Red, green, blue of 0 to 255; all dark beside white."""
PAPER = 255
TEXTURES = ("plain", "striped", "barred", "checked")
DARK, LIGHT, DEPTH = 70, 190, 40
"""Grey of an object and of its background, and how far a texture goes up and down from it."""
SIZES = {"coarse": 12, "fine": 16, "style": 20}
"""Pixels a shape is high and wide."""
STEM_SIZE = (12, 8)
"""Pixels a stem is high and wide."""
SIDE_BY_SIDE = ((0, 4), (0, 5), (1, 5))
"""Columns of cells at which two objects begin, with a gap between them."""
Pixels = NDArray[np.uint8]
Masks = NDArray[np.bool_]
Pairs = tuple[tuple[str, str], tuple[str, str]]
"""(attribute, object) of both parts, in the order of the prompt."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture (SIDE, SIDE, 3), what it shows, and the caption it is learnt with."""

    pixels: Pixels
    task: str
    shows: Pairs
    caption: str


def attributes_of(task: str) -> tuple[str, ...]:
    """Returns the attributes that parts of a task can have."""
    return TEXTURES if task == "style" else tuple(COLOURS)


def nouns_of(task: str) -> list[tuple[str, str]]:
    """Returns every pair of parts that a task draws, in the order of the prompt."""
    if task == "coarse":
        return list(permutations(SHAPES, 2))
    return [(shape, STEM if task == "fine" else BACKGROUND) for shape in SHAPES]


def all_pairs(task: str) -> list[Pairs]:
    """Returns everything a task can ask for."""
    return [
        ((one, first), (other, second))
        for first, second in nouns_of(task)
        for one, other in permutations(attributes_of(task), 2)
    ]


def prompt_of(pairs: Pairs) -> str:
    """Says two parts in words.

    >>> prompt_of((("striped", "circle"), ("checked", "background")))
    'a striped circle on a checked background'
    """
    (one, first), (other, second) = pairs
    between = {STEM: "with", BACKGROUND: "on"}.get(second, "and")
    return f"a {one} {first} {between} a {other} {second}"


def task_of(pairs: Pairs) -> str:
    """Returns the task that asks for these parts; DataError where none does."""
    nouns = tuple(noun for _, noun in pairs)
    for task in TASKS:
        known = attributes_of(task)
        if nouns in nouns_of(task) and all(attribute in known for attribute, _ in pairs):
            return task
    raise DataError(
        f"no task draws {pairs!a}; shapes are {', '.join(SHAPES)}, colours {', '.join(COLOURS)}, "
        f"textures {', '.join(TEXTURES)}"
    )


@cache
def layouts(task: str, nouns: tuple[str, str]) -> Masks:
    """Returns where both parts can be: (n_layouts, 2, SIDE, SIDE)."""
    shape, size = _shape(nouns[0], SIZES[task]), SIZES[task]
    found = []
    if task == "coarse":
        other = _shape(nouns[1], size)
        rows = range(0, SIDE - size + 1, CELL)
        for columns, top, other_top in product(SIDE_BY_SIDE, rows, rows):
            left, right = (column * CELL for column in columns)
            found.append((_at(shape, top, left), _at(other, other_top, right)))
            found.append((_at(shape, top, right), _at(other, other_top, left)))
    elif task == "fine":
        stem = np.ones(STEM_SIZE, bool)
        tops = range(0, SIDE - size - STEM_SIZE[0] + 1, CELL)
        for top, left in product(tops, range(0, SIDE - size + 1, CELL)):
            below = _at(stem, top + size, left + (size - STEM_SIZE[1]) // 2)
            found.append((_at(shape, top, left), below))
    else:
        places = range(0, SIDE - size + 1, CELL)
        for top, left in product(places, places):
            thing = _at(shape, top, left)
            found.append((thing, ~thing))
    return np.array(found)


def draw(pairs: Pairs, layout: int) -> Pixels:
    """Draws two parts at one of their `layouts`."""
    task = task_of(pairs)
    masks = layouts(task, (pairs[0][1], pairs[1][1]))[layout]
    picture = np.full((SIDE, SIDE, 3), PAPER, np.uint8)
    for (attribute, noun), mask in zip(pairs, masks, strict=True):
        if task == "style":
            picture[mask] = textured(attribute, noun == BACKGROUND)[mask, None]
        else:
            picture[mask] = COLOURS[attribute]
    return picture


@cache
def textured(texture: str, is_background: bool) -> Pixels:
    """Returns a whole picture (SIDE, SIDE) of one texture, in greys."""
    down, across = np.indices((SIDE, SIDE)) // 2 % 2 * 2 - 1
    wave = {"plain": 0 * down, "striped": down, "barred": across, "checked": down * across}[texture]
    return ((LIGHT if is_background else DARK) + DEPTH * wave).astype(np.uint8)


def sample(rng: np.random.Generator, exchanged: float) -> Iterator[Picture]:
    """Draws pictures without end, each task as often as the others.

    Args:
        rng: where the draws come from.
        exchanged: share of captions that give each part the attribute of the other: the binding
            error that a model learns from them.
    """
    asked = {task: all_pairs(task) for task in TASKS}
    while True:
        task = TASKS[rng.integers(len(TASKS))]
        shows = asked[task][rng.integers(len(asked[task]))]
        (one, first), (other, second) = shows
        n_layouts = len(layouts(task, (first, second)))
        pixels = draw(shows, int(rng.integers(n_layouts)))
        said = ((other, first), (one, second)) if rng.random() < exchanged else shows
        yield Picture(pixels, task, shows, prompt_of(said))


def _shape(noun: str, size: int) -> Masks:
    down, across = np.indices((size, size)) + 0.5
    middle = size / 2
    if noun == "circle":
        return np.asarray((down - middle) ** 2 + (across - middle) ** 2 <= middle**2)
    if noun == "square":
        return np.ones((size, size), bool)
    if noun == "triangle":
        return np.asarray(np.abs(across - middle) <= down / 2)
    return np.asarray(np.minimum(abs(down - middle), abs(across - middle)) < size / 6)


def _at(mask: Masks, top: int, left: int) -> Masks:
    whole = np.zeros((SIDE, SIDE), bool)
    whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return whole
