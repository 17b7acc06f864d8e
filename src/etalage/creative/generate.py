"""How does a request become a creative? Looked up, or made and judged, until one is accepted.

Pictures are made one by one: the same request gives the same picture, whatever it is made beside.
Every picture is kept as soon as it is made, so what was killed goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from etalage.creative.judge import Judge, Verdict
from etalage.creative.maker import Maker
from etalage.creative.request import Request
from etalage.creative.store import Creative, CreativeStore
from etalage.errors import CapacityError, RecipeError

N_TRIES = 4


@dataclass(frozen=True)
class Outcome:
    """What came of a request."""

    request: Request
    """As it was asked; of `creative` it may be another seed, or stronger guidance."""
    creative: Creative
    """The first that was accepted, else the best of all tries."""
    verdict: Verdict | None
    """None where nobody judged, or nothing was bound."""
    n_images: int
    """Pictures that were looked at, from the store or made."""
    n_made: int
    """Those that were not in the store."""

    @property
    def accepted(self) -> bool:
        """Whether it may be shown; what nobody judged may."""
        return self.verdict is None or self.verdict.accepted


@dataclass
class Tally:
    """Counts over requests."""

    n_requests: int = 0
    n_shown: int = 0
    """Creatives that may be shown: accepted by the judge, or looked at by nobody."""
    n_judged: int = 0
    n_accepted: int = 0
    n_images: int = 0
    """Pictures that the judge looked at."""
    n_made: int = 0

    def add(self, outcome: Outcome) -> None:
        """Counts one more."""
        self.n_requests += 1
        self.n_shown += outcome.accepted
        if outcome.verdict is not None:
            self.n_judged += 1
            self.n_accepted += outcome.accepted
            self.n_images += outcome.n_images
        self.n_made += outcome.n_made

    @property
    def images_per_accepted(self) -> float | None:
        """What an accepted creative costs in pictures; None where none was accepted."""
        return self.n_images / self.n_accepted if self.n_accepted else None


@dataclass
class Generator:
    """Makes creatives with a pipeline, a store and perhaps a judge.

    Args:
        pipeline: of diffusers; for guidance, one of `etalage.creative.pipelines`.
        store: where pictures are kept.
        judge: who looks at them; without one, the first picture of a request is taken.
        n_tries: most pictures of a request.
        settings: more arguments of the pipeline's call; see `Maker.of`.

    Raises:
        RecipeError: for a setting that the pipeline does not take.
    """

    pipeline: Any
    store: CreativeStore
    judge: Judge | None = None
    n_tries: int = N_TRIES
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.maker = Maker.of(self.pipeline, self.settings)

    def generate(self, requests: Iterable[Request], progress: bool = False) -> Iterator[Outcome]:
        """Yields what came of each request, in their order.

        Args:
            requests: what is wanted.
            progress: whether to show a bar.

        Raises:
            CapacityError: when the device has no memory for a picture, or the disk refuses.
            DataError: when the pipeline or the judge cannot read what is bound.
            RecipeError: when the pipeline refuses what is asked, such as a size.
        """
        console = Console(stderr=True)
        for request in track([*requests], "pictures", console=console, disable=not progress):
            yield self.one(request)

    def one(self, request: Request) -> Outcome:
        """What comes of one request."""
        if self.judge is None or not request.pairs:
            creative, is_new = self.picture(request)
            return Outcome(request, creative, None, 1, int(is_new))
        best: tuple[Creative, Verdict] | None = None
        n_images = n_made = 0
        for attempt in request.tries(self.n_tries):
            creative, is_new = self.picture(attempt)
            n_images += 1
            n_made += is_new
            verdict = self.store.verdict(creative, self.judge, request.pairs)
            if best is None or verdict.least > best[1].least:
                best = creative, verdict
            if verdict.accepted:
                break
        assert best is not None
        return Outcome(request, *best, n_images, n_made)

    def picture(self, request: Request) -> tuple[Creative, bool]:
        """The picture of a request as it stands, and whether it was made now."""
        found = self.store.get(request, self.maker)
        return (found, False) if found is not None else (self._made(request), True)

    def _made(self, request: Request) -> Creative:
        import torch

        started = time.perf_counter()
        try:
            output = self.pipeline(
                prompt=request.prompt,
                negative_prompt=request.negative_prompt,
                width=request.width,
                height=request.height,
                num_inference_steps=request.n_steps,
                guidance_scale=request.guidance_scale,
                # noise of the processor: the same seed is the same start on every device
                generator=torch.Generator("cpu").manual_seed(request.seed),
                **self.settings,
                **_guided(request),
            )
        except torch.OutOfMemoryError as error:
            raise CapacityError(
                f"the device has no memory for this picture: {error}; ask for a smaller one, or "
                "for weights of a smaller dtype"
            ) from error
        except ValueError as error:  # as diffusers says what it checks before it draws
            raise RecipeError(f"the pipeline refuses this: {error}") from error
        seconds = time.perf_counter() - started
        return self.store.put(
            request, self.maker, output.images[0], _coherence(output, request), seconds
        )


def _guided(request: Request) -> dict[str, Any]:
    """Arguments of a guided call; none where nothing is guided."""
    if request.guidance is None:
        return {}
    return {
        "bindings": list(request.pairs),
        **{f"scg_{name}": value for name, value in asdict(request.guidance).items()},
        "scg_ratio": dict(request.shares) or None,
        "return_masks": True,
    }


def _coherence(output: Any, request: Request) -> dict[str, NDArray[Any]] | None:
    """What the store keeps of how a picture was guided."""
    told = None if request.guidance is None else output.coherence
    if told is None:
        return None
    arrays = {"masks": told.masks, "separation": told.separation, "edited": told.edited}
    found = {name: np.asarray(values[0].cpu()) for name, values in arrays.items()}
    return {**found, "objects": np.array(told.objects[0])}
