"""What is drawn, and in which words is it said? Three tasks of two parts with an attribute each.

- coarse: "a red circle and a blue square", two objects side by side;
- fine: "a red circle with a blue stem", two parts of one object, the second the smaller;
- style: "a striped circle on a checked wall", textures of an object and of what is behind it.

A noun says how its part looks all over, and not by the outline alone, as things do: where colours
are asked for each noun has a grain of its own, and where textures are asked for a tint of its own.
Objects are dark on light, nouns differ more than attributes do, and all lies on a grid of `CELL`
pixels: as noise falls, a picture shows what is where before it shows how it looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import permutations, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from etalage.errors import DataError

TRAINED = Path(__file__).parent / "trained"
"""Folder of the toy that comes with Etalage, a pipeline of diffusers with a card of its data."""
SIDE, CELL = 24, 4
TASKS = ("coarse", "fine", "style")
SHAPES = ("circle", "square", "triangle", "cross")
PARTS = {"stem": (12, 4), "base": (8, 12), "handle": (12, 4)}
"""Pixels a part is high and wide: a stem and a base are below its object, a handle beside it."""
COLOURS = {"red": (140, 65, 65), "green": (60, 130, 65), "blue": (65, 75, 150),
           "yellow": (130, 115, 45)}  # fmt: skip
"""Red, green, blue of 0 to 255."""
TEXTURES = ("plain", "striped", "barred", "checked")
GRAINS = {"circle": "barred", "square": "checked", "triangle": "striped", "cross": "plain",
          "stem": "striped", "base": "plain", "handle": "checked"}  # fmt: skip
TINTS = {"circle": COLOURS["red"], "square": COLOURS["green"], "triangle": COLOURS["blue"],
         "cross": COLOURS["yellow"],
         "wall": (235, 225, 150), "sky": (160, 210, 245), "floor": (240, 170, 220)}  # fmt: skip
BACKGROUNDS = ("wall", "sky", "floor")
PAPER = 255
GRAIN, DEPTH = 60, 30
"""How far a grain and a texture go up and down from a colour."""
SIZES = {"coarse": 8, "fine": 12, "style": 12}
"""Pixels a shape is high and wide."""
SIDE_BY_SIDE = ((0, 3), (0, 4), (1, 4))
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
    return list(product(SHAPES, PARTS if task == "fine" else BACKGROUNDS))


def all_pairs(task: str) -> list[Pairs]:
    """Returns everything a task can ask for."""
    return [
        ((one, first), (other, second))
        for first, second in nouns_of(task)
        for one, other in permutations(attributes_of(task), 2)
    ]


def prompt_of(pairs: Pairs) -> str:
    """Says two parts in words.

    >>> prompt_of((("striped", "circle"), ("checked", "wall")))
    'a striped circle on a checked wall'
    """
    (one, first), (other, second) = pairs
    between = "with" if second in PARTS else "on" if second in BACKGROUNDS else "and"
    return f"a {one} {first} {between} a {other} {second}"


def task_of(pairs: Pairs) -> str:
    """Returns the task that asks for these parts; DataError where none does."""
    nouns = tuple(noun for _, noun in pairs)
    for task in TASKS:
        known = attributes_of(task)
        if nouns in nouns_of(task) and all(attribute in known for attribute, _ in pairs):
            return task
    raise DataError(
        f"no task draws {pairs!a}; shapes are {', '.join(SHAPES)}, parts {', '.join(PARTS)}, "
        f"backgrounds {', '.join(BACKGROUNDS)}, colours {', '.join(COLOURS)}, textures "
        f"{', '.join(TEXTURES)}"
    )


@cache
def layouts(task: str, nouns: tuple[str, str]) -> Masks:
    """Returns where both parts can be: (n_layouts, 2, SIDE, SIDE)."""
    size = SIZES[task]
    shape = _shape(nouns[0], size)
    found = []
    if task == "coarse":
        other = _shape(nouns[1], size)
        rows = _places(size)
        for columns, top, other_top in product(SIDE_BY_SIDE, rows, rows):
            left, right = (column * CELL for column in columns)
            found.append((_at(shape, top, left), _at(other, other_top, right)))
            found.append((_at(shape, top, right), _at(other, other_top, left)))
    elif task == "fine":
        high, wide = PARTS[nouns[1]]
        part = np.ones((high, wide), bool)
        down, across = (0, size) if nouns[1] == "handle" else (size, (size - wide) // 2)
        tops, lefts = _places(max(size, down + high)), _places(max(size, across + wide))
        for top, left in product(tops, lefts):
            found.append((_at(shape, top, left), _at(part, top + down, left + across)))
    else:
        for top, left in product(_places(size), _places(size)):
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
            colour, wave = TINTS[noun], DEPTH * waves(attribute)
        else:
            colour, wave = COLOURS[attribute], GRAIN * waves(GRAINS[noun])
        painted = np.array(colour) + wave[..., None]
        picture[mask] = painted.clip(0, PAPER)[mask]
    return picture


@cache
def waves(texture: str) -> NDArray[np.int64]:
    """Returns where a texture goes up and down, (SIDE, SIDE) of -1, 0 and 1."""
    down, across = np.indices((SIDE, SIDE)) // 2 % 2 * 2 - 1
    return {"plain": 0 * down, "striped": down, "barred": across, "checked": down * across}[texture]


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


def _places(size: int) -> range:
    """Where something of so many pixels can begin."""
    return range(0, SIDE - size + 1, CELL)


def _at(mask: Masks, top: int, left: int) -> Masks:
    whole = np.zeros((SIDE, SIDE), bool)
    whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return whole
