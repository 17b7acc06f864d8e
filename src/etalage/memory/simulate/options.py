"""Which wrong answers stand beside the right one? Such as could as well have been right.

Wrong answers are what the same attribute is in other worlds, which are drawn anew for each. Only
what the question's time tells, the day a world starts on, is kept. A question is asked only if all
of its options differ, and is never mended by drawing again for the same answer; so the options are
exchangeable, and no rule that reads them alone beats chance.
"""

from __future__ import annotations

from random import Random

from etalage.memory.simulate.programs import Program, Typed, applied
from etalage.memory.simulate.schema import COUNT, ENTITY, SELF, network, words_of
from etalage.memory.simulate.surface import surface
from etalage.memory.simulate.world import Cell, World, fresh
from etalage.memory.trajectory import Value

N_OPTIONS = 4
CLOSED = ("season",)
"""Functions with no more values than options."""


def options_for(
    program: Program,
    typed: Typed,
    world: World,
    random: Random,
    stale: tuple[Value, ...] = (),
    n_summed: int = 0,
) -> tuple[str, ...] | None:
    """Returns the options in mixed order; None where they do not all differ.

    Args:
        stale: Values that are right at another time, offered first.
        n_summed: How many values a sum adds up.
    """
    words, ask = surface(program["language"]), program["ask"]
    value, attribute = typed
    op = ask["op"]
    if "among" in ask and op != "count":
        found = [words.said(ENTITY, entity) for entity in ask["among"]]
        found += [words.said(words_of("tie"), "the same")] if ask.get("tie") else []
    elif op == "count":
        found = [words.said(COUNT, n) for n in range(len(ask["among"]) + 1)]
    elif op == "holds":
        found = [words.said(attribute, truth) for truth in ("yes", "no")]
    elif op == "apply" and ask["function"] in CLOSED:
        found = list(words.words[ask["function"]].values())
    else:
        others = [*stale]
        while len(others) < N_OPTIONS - 1:
            others.append(_elsewhere(ask, world, random, n_summed))
        found = [words.said(attribute, other) for other in (value, *others)]
    if len(set(found)) < len(found):
        return None
    random.shuffle(found)
    return tuple(found)


def _elsewhere(ask: Program, world: World, random: Random, n_summed: int) -> Value:
    """What the answer is in another world that starts on the same day."""
    match ask["op"]:
        case "as_of":
            return _elsewhere(ask["of"], world, random, n_summed)
        case "apply":
            inner = str(_elsewhere(ask["of"], world, random, n_summed))
            return applied(ask["function"], inner, ask.get("n", 0))[0]
        case "sum":
            return sum(_where(ask, world, random) for _ in range(n_summed))
    of = ask["of"]
    entity = of if isinstance(of, str) else _one_of(of["group"], world, random)
    return fresh((entity, ask["attribute"]), random, _start(world))


def _where(ask: Program, world: World, random: Random) -> int:
    """What is added up, for one entity of which the condition holds."""
    while True:
        values = _start(world)
        entity = _one_of(ask["group"], world, random)
        if fresh((entity, ask["attribute"]), random, values) == ask["value"]:
            return int(fresh((entity, ask["target"]), random, values))


def _start(world: World) -> dict[Cell, Value]:
    """What the time of a question tells of its world."""
    return {(SELF, "start"): world.values[SELF, "start"]}


def _one_of(group: str, world: World, random: Random) -> str:
    """An entity that another world has in a group."""
    net = network()
    kinds = net.domains[world.domain].entities
    fitting = [kind for kind in kinds if net.kinds[kind].group == group]
    kind = random.choices(fitting, [kinds[kind] for kind in fitting])[0]
    return f"{kind}:{random.choice(list(net.words[str(net.kinds[kind].names)]))}"
