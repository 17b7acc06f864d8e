"""How does an attribute stay with its object? Self-coherence guidance (Wang et al., CVPR 2025).

Transformers that draw mostly place the objects of a prompt right, and hand out their attributes
wrongly. The attention that pixels pay to the word of an object, mean over all layers and heads,
shows where it is being drawn. So at each step pixels of an object pay more attention to the words
of its own attributes; where the object is, the step before has told:

    A'[p, q] = c A[p, q] where q says an attribute of object k and p is in its mask M_k

Nothing is trained, no gradient is taken, and the network runs as often as it did.

Letters: N images, K objects of an image, P pixels (tokens of the picture), T steps.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor, nn

from etalage.creative.attention import Chosen, Layout, attend, text_attention, watched
from etalage.creative.bindings import TokenBinding
from etalage.creative.coherence import Coherence
from etalage.creative.guidance import Guidance
from etalage.creative.masks import exclusive, largest, two_means
from etalage.errors import DataError, RecipeError


class Controller:
    """Follows one run: which step it is, where the objects are, and what is edited now.

    Args:
        bindings: by image, in the order of the rows; an image may have none.
        n_steps: entries of the scheduler's timesteps.
        guidance: settings.
        ratios: for `mask="ratio"` the share of the picture that each object should have, by image
            and object.
        masks: bool (N, K, P) or (N, K, rows, columns), to be used from the first edited step on in
            place of those found: a layout that somebody drew, or the control of an experiment.
        keeps_record: whether `coherence` is wanted after the run; costs memory for each step.

    Raises:
        DataError: for bindings, ratios or masks that do not fit each other.
        RecipeError: for ratios without `mask="ratio"`, or it without them.
    """

    def __init__(
        self,
        bindings: Sequence[Sequence[TokenBinding]],
        n_steps: int,
        guidance: Guidance | None = None,
        *,
        ratios: Sequence[Sequence[float]] | None = None,
        masks: Tensor | None = None,
        keeps_record: bool = False,
    ) -> None:
        self.bindings = tuple(tuple(image) for image in bindings)
        self.guidance = guidance or Guidance()
        self.n_steps = n_steps
        if n_steps < 1:
            raise RecipeError(f"a run has at least one step; got {n_steps}")
        if not any(self.bindings):
            raise DataError("nothing is bound in any image; draw without guidance")
        for one in chain(*self.bindings):
            if not one.object or min(chain(one.object, *one.attributes)) < 0:
                raise DataError(f"a binding names tokens of an object, counted from 0; got {one}")
        self.chosen = Chosen.of(self.bindings)
        self.last_token = int(self.chosen.tokens.max())
        self.ratios = self._checked_ratios(ratios)
        shape = self.chosen.exists.shape
        if masks is not None and (masks.ndim not in (3, 4) or masks.shape[:2] != shape):
            raise DataError(
                f"expected masks of {shape[0]} images x {shape[1]} objects x pixels, or rows x "
                f"columns; got {tuple(masks.shape)}"
            )
        self._drawn = () if masks is None else tuple(masks.shape[2:])
        exists = self.chosen.exists[..., None]
        self.given = None if masks is None else masks.flatten(2).bool() & exists
        self.keeps_record = keeps_record
        self.grid: tuple[int, int] | None = None
        """Rows and columns of pixels, where the transformer is given a picture."""
        self.step = -1
        self._masks = self.given  # (N, K, P) that the next edit uses
        self._is_clear: Tensor | None = None  # (N, K) whether these are good enough to use
        self._is_watched = False
        self._timestep = math.nan
        self._text: Tensor | None = None
        self._total: Tensor | None = None  # (N, P, K) sum of maps over layers
        self._n_layers = 0
        self._record: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def _checked_ratios(self, ratios: Sequence[Sequence[float]] | None) -> Tensor | None:
        if (ratios is None) != (self.guidance.mask == "two_means"):
            raise RecipeError("ratios go with mask='ratio', and it with them")
        if ratios is None:
            return None
        if list(map(len, ratios)) != list(map(len, self.bindings)):
            raise DataError(
                f"expected a ratio for each object, {list(map(len, self.bindings))} by image; got "
                f"{list(map(len, ratios))}"
            )
        if not all(0 < ratio <= 1 for ratio in chain(*ratios)):
            raise DataError(f"ratios are shares of the picture, above 0 to 1; got {list(ratios)}")
        laid = torch.ones(self.chosen.exists.shape)
        for n, image in enumerate(ratios):
            laid[n, : len(image)] = torch.tensor(image, dtype=laid.dtype)
        return laid

    @property
    def edits_now(self) -> bool:
        """Whether this step is edited."""
        return self._masks is not None and self._is_edited(self.step)

    @property
    def reads_now(self) -> bool:
        """Whether maps of this step are wanted: by the next step, or for the record."""
        return self.keeps_record or (self.given is None and self._is_edited(self.step + 1))

    def _is_edited(self, step: int) -> bool:
        # shares of steps are compared with a tolerance: 0.07 * 100 is above 7
        first, last = (share * self.n_steps for share in (self.guidance.start, self.guidance.stop))
        is_within = first - 1e-6 <= step <= last + 1e-6 and step < self.n_steps
        return self.guidance.edits and is_within

    def begin(self, timestep: float, text: Tensor, n_rows: int) -> None:
        """Before the transformer is called: is it for a new step, and with the prompt's text?

        Of several calls in a step (true guidance of Flux, skipped layers of Stable Diffusion 3)
        the first has the prompt, and the others are left as they are. A scheduler may also ask
        twice at one time; then the same text comes again, and that is a step of its own.

        Args:
            timestep: of the first row.
            text: (B, L, channels).
            n_rows: B, which is N, or 2 N where the first N have another text.
        """
        self._is_watched = timestep != self._timestep or _is_same(text, cast(Tensor, self._text))
        if not self._is_watched:
            return
        n_images = len(self.bindings)
        if n_rows not in (n_images, 2 * n_images):
            raise DataError(
                f"bindings are of {n_images} images, and the transformer got {n_rows} rows; give "
                "the bindings of each image, and guide with no more than one other prompt"
            )
        if self.last_token >= text.shape[1]:
            raise DataError(
                f"a binding names token {self.last_token}, and the text has {text.shape[1]}"
            )
        self.step += 1
        if self.step >= self.n_steps:
            raise RecipeError(
                f"this is step {self.step + 1} of {self.n_steps}; count the scheduler's timesteps, "
                "and take a new controller for each run"
            )
        self._timestep, self._text = timestep, text
        self._total, self._n_layers = None, 0

    def attend(
        self,
        layer: int,
        layout: Layout,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        **others: Any,
    ) -> Tensor:
        """Stands for scaled_dot_product_attention in a layer; arguments as it has them."""
        is_edited = self.edits_now and (
            self.guidance.layers is None or layer in self.guidance.layers
        )
        reads = self.reads_now
        if not self._is_watched or not (is_edited or reads):
            return nn.functional.scaled_dot_product_attention(
                query, key, value, attn_mask=attn_mask, **others
            )
        if self.chosen.tokens.device != query.device:
            self.chosen = self.chosen.to(query.device)
        n_text = cast(Tensor, self._text).shape[1]
        pixels, first_key = layout.places(query.shape[2], key.shape[2], n_text)
        factors = None
        if is_edited:
            masks = self._used_masks(query.device, pixels.stop - pixels.start)
            factors = self.chosen.factors(masks, self.guidance.strength, self.guidance.suppress)
        out, maps = attend(
            query,
            key,
            value,
            attn_mask,
            self.chosen,
            pixels=pixels,
            first_key=first_key,
            factors=factors,
            reads=reads,
            renormalize=self.guidance.renormalize,
            **others,
        )
        if maps is not None:
            self._total = maps if self._total is None else self._total + maps
            self._n_layers += 1
        return out

    def _used_masks(self, device: torch.device, n_pixels: int) -> Tensor:
        masks = cast(Tensor, self._masks).to(device)
        is_turned = len(self._drawn) == 2 and self.grid not in (None, self._drawn)
        if masks.shape[2] != n_pixels or is_turned:
            raise DataError(
                f"masks are of {' x '.join(map(str, self._drawn))} pixels, and the picture has "
                f"{n_pixels}, (rows, columns) = {self.grid}"
            )
        self._masks = masks
        return masks if self._is_clear is None else masks & self._is_clear[..., None]

    def end(self) -> None:
        """After the transformer was called: the masks of the next step."""
        if not self._is_watched or self._total is None:
            return
        maps = (self._total / self._n_layers).transpose(1, 2).contiguous()  # (N, K, P)
        self._total, self._is_watched = None, False
        exists = self.chosen.exists
        threshold, separation = two_means(maps)
        if self.ratios is not None:
            threshold = largest(maps, self.ratios.to(maps.device))
        is_clear = (separation >= self.guidance.least_separation) & exists
        masks = (maps >= threshold) & exists[..., None]
        if self.guidance.exclusive:
            masks = exclusive(masks, maps, is_clear)
        was_edited = (exists if self._is_clear is None else self._is_clear) & self.edits_now
        if self.given is not None:
            masks = self.given.to(maps.device)
        else:
            self._masks, self._is_clear = masks, is_clear
        if self.keeps_record:
            found = (maps * exists[..., None], masks, separation * exists, was_edited)
            self._record.append(found)

    def coherence(self) -> Coherence:
        """Returns what was found and done at each step, on the CPU.

        Raises:
            RecipeError: where no record was kept, or no step was made.
        """
        if not self._record:
            raise RecipeError("no step was recorded; make the controller with keeps_record=True")
        maps, masks, separation, edited = (
            torch.stack(part, dim=1).cpu() for part in zip(*self._record, strict=True)
        )
        return Coherence(maps, masks, separation, edited)


def _is_same(one: Tensor, other: Tensor) -> bool:
    return one is other or (one.shape == other.shape and torch.equal(one, other))


@contextmanager
def self_coherence(transformer: nn.Module, controller: Controller) -> Iterator[Controller]:
    """Within the block each call of the transformer is a step that the controller guides.

    Any pipeline of diffusers around a transformer of PixArt, Sana, Stable Diffusion 3 or Flux may
    run in the block, and its own code is not changed. Afterwards the transformer is as it was,
    whatever happened.

    Raises:
        RecipeError: for a transformer that cannot be guided, layers it does not have, or a
            controller of an earlier run.
    """
    layout, layers = text_attention(transformer)
    wanted = controller.guidance.layers or ()
    if wanted and max(wanted) >= len(layers):
        raise RecipeError(f"the transformer has layers 0 to {len(layers) - 1}; got {wanted}")
    if controller.step >= 0:
        raise RecipeError("a controller follows one run; make a new one")
    patch = getattr(getattr(transformer, "config", None), "patch_size", 1)
    names = inspect.signature(transformer.forward)

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = names.bind_partial(*args, **kwargs).arguments
        picture, text = given["hidden_states"], given["encoder_hidden_states"]
        if picture.ndim == 4:
            controller.grid = picture.shape[2] // patch, picture.shape[3] // patch
        timestep = torch.as_tensor(given["timestep"]).flatten()[0]
        controller.begin(float(timestep), text, len(picture))

    def after(*_: Any) -> None:
        controller.end()

    with ExitStack() as undo:
        for number, layer in enumerate(layers):
            undo.enter_context(watched(layer, partial(controller.attend, number, layout)))
        undo.callback(transformer.register_forward_pre_hook(before, with_kwargs=True).remove)
        undo.callback(transformer.register_forward_hook(after).remove)
        yield controller
