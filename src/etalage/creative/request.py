"""Which picture is wanted? A prompt, what belongs together in it, and how it is to be drawn."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from etalage.creative.bindings import check_pairs, check_prompt, locate
from etalage.creative.maker import Maker
from etalage.errors import RecipeError
from etalage.seeds import generator

if TYPE_CHECKING:
    from etalage.creative.guidance import Guidance

STRONGER = 1.5
"""How much stronger the guidance is in the last third of the tries."""
SEEDS = 2**31


@dataclass(frozen=True)
class Request:
    """One picture.

    Raises:
        DataError: for a prompt without words, or a pair that is none or that it does not say.
        RecipeError: for a number that cannot be, or guidance of nothing.
    """

    prompt: str
    pairs: tuple[tuple[str, str], ...] = ()
    """(attribute, object) as the prompt says them."""
    guidance: Guidance | None = None
    """How strongly attributes are held to their objects; None draws as the pipeline would."""
    shares: tuple[tuple[str, float], ...] = ()
    """(object, share of the picture), where the guidance finds masks by shares."""
    negative_prompt: str = ""
    seed: int = 0
    width: int | None = None
    """Pixels; None takes what the pipeline was trained for."""
    height: int | None = None
    n_steps: int = 20
    guidance_scale: float = 4.5
    """Of classifier-free guidance."""

    def __post_init__(self) -> None:
        check_prompt(self.prompt)
        object.__setattr__(self, "pairs", tuple((a, o) for a, o in check_pairs(self.pairs)))
        locate(self.prompt, self.pairs)
        if self.guidance is not None and not self.pairs:
            raise RecipeError(
                "guidance holds attributes to objects, and no pair is given; name what belongs "
                "together, or leave the guidance out"
            )
        for name, least in (("width", 1), ("height", 1), ("n_steps", 1), ("seed", 0)):
            number = getattr(self, name)
            is_open = number is None and name in ("width", "height")
            if not is_open and (type(number) is not int or number < least):
                raise RecipeError(f"expected {name} of at least {least}; got {number!a}")
        if not math.isfinite(self.guidance_scale):
            raise RecipeError(f"expected a number for guidance_scale; got {self.guidance_scale}")

    def told(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        facts = {name: getattr(self, name) for name in self.__dataclass_fields__}
        facts["guidance"] = None if self.guidance is None else asdict(self.guidance)
        found: dict[str, Any] = json.loads(json.dumps(facts))
        return found

    def key(self, maker: Maker) -> str:
        """Sha256 of everything that the picture depends on."""
        told = {"request": self.told(), "maker": maker.told()}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def tries(self, n: int) -> tuple[Request, ...]:
        """So many ways to try for an accepted picture: other seeds, and then stronger guidance.

        The first is the request itself. The last third, rounded down, repeats the first seeds with
        guidance `STRONGER` times as strong; without guidance that could be made stronger, all are
        other seeds.

        >>> len({attempt.seed for attempt in Request("a mug", seed=7).tries(6)})
        6
        """
        if n < 1:
            raise RecipeError(f"expected at least 1 try; got {n}")
        seeds = [self.seed]
        seeds += [int(generator(self.seed, "creative", at).integers(SEEDS)) for at in range(1, n)]
        if self.guidance is None or self.guidance.strength <= 1:
            return tuple(replace(self, seed=seed) for seed in seeds)
        n_seeds = n - n // 3
        stronger = replace(self.guidance, strength=STRONGER * self.guidance.strength)
        return tuple(
            replace(self, seed=seeds[at])
            if at < n_seeds
            else replace(self, seed=seeds[at - n_seeds], guidance=stronger)
            for at in range(n)
        )
