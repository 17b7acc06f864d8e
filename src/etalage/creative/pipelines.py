"""Which pipelines hold attributes to their objects? Those of PixArt and Sana, with bindings.

Each is a pipeline of diffusers with a few arguments more: what it can load, save, offload and draw
stays as it is, and without bindings its pictures are the same to the last bit.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from diffusers import PixArtAlphaPipeline, PixArtSigmaPipeline, SanaPipeline
from diffusers.pipelines.pipeline_utils import ImagePipelineOutput
from diffusers.pipelines.pixart_alpha.pipeline_pixart_alpha import retrieve_timesteps
from torch import Tensor

from etalage.creative.bindings import TokenBinding, locate, token_bindings
from etalage.creative.coherence import Coherence
from etalage.creative.guidance import Guidance
from etalage.creative.self_coherence import Controller, self_coherence
from etalage.errors import DataError, RecipeError

Bound = Sequence[tuple[str, str]] | Sequence[TokenBinding]
"""What belongs together in a prompt: pairs (attribute, object) of its words, or tokens."""


@dataclass
class SelfCoherenceOutput(ImagePipelineOutput):
    """Images as of any pipeline, and what was found while they were drawn."""

    coherence: Coherence | None = None
    """None where nothing was bound."""


class _SelfCoherence:
    """What the pipelines below share; stands before a pipeline of diffusers."""

    tokenizer: Any
    transformer: Any
    scheduler: Any

    def __call__(
        self,
        prompt: str | list[str] | None = None,
        *args: Any,
        bindings: Bound | Sequence[Bound] | None = None,
        scg_strength: float = 4.0,
        scg_start: float = 0.08,
        scg_stop: float = 1.0,
        scg_mask: Literal["two_means", "ratio"] = "two_means",
        scg_ratio: Mapping[str, float] | Sequence[Mapping[str, float]] | None = None,
        scg_layers: Sequence[int] | None = None,
        scg_renormalize: bool = False,
        scg_suppress: float = 1.0,
        scg_exclusive: bool = False,
        scg_least_separation: float = 0.5,
        scg_masks: Any = None,
        return_masks: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Draws as the pipeline does, and holds the attributes that are bound to their objects.

        Letters: N images (prompts times images a prompt), K objects.

        Args:
            prompt: as ever, and so are all arguments that are not named here.
            bindings: pairs (attribute, object) of words of the prompt; for a list of prompts a
                list of pairs for each. With `prompt_embeds` in place of a prompt: by row, a list
                of `TokenBinding`. Pairs of one object are one binding; objects count in the order
                in which the prompt says them.
            scg_strength: and others up to `scg_least_separation`: see
                `etalage.creative.guidance.Guidance`.
            scg_ratio: for `scg_mask="ratio"` the share of the picture by the object's words; for
                a list of prompts one for each.
            scg_masks: bool (N, K, pixels) or (N, K, rows, columns), used in place of those found.
            return_masks: whether the output has `coherence`, with what was found at each step.

        Raises:
            DataError: for bindings that the prompt does not say, or that were cut off with its
                end, and for masks and ratios that do not fit them.
            RecipeError: for settings that make no sense.
        """
        guidance = Guidance(
            strength=scg_strength,
            start=scg_start,
            stop=scg_stop,
            mask=scg_mask,
            layers=None if scg_layers is None else tuple(scg_layers),
            renormalize=scg_renormalize,
            suppress=scg_suppress,
            exclusive=scg_exclusive,
            least_separation=scg_least_separation,
        )
        draw = super().__call__  # type: ignore[misc]
        given = inspect.signature(draw).bind(prompt, *args, **kwargs)
        given.apply_defaults()
        arguments = given.arguments
        by_prompt = _by_prompt(prompt, bindings, arguments["prompt_embeds"])
        if not any(by_prompt) or not (guidance.edits or return_masks):
            return _output(draw(prompt, *args, **kwargs), None, return_masks)
        tokens, objects = self._tokens(prompt, by_prompt, arguments)
        ratios = None if scg_ratio is None else _ratios(prompt, scg_ratio, objects)
        n_each = arguments["num_images_per_prompt"] or 1
        controller = Controller(
            _repeated(tokens, n_each),
            self._n_steps(arguments),
            guidance,
            ratios=None if ratios is None else _repeated(ratios, n_each),
            masks=None if scg_masks is None else torch.as_tensor(scg_masks),
            keeps_record=return_masks,
        )
        with self_coherence(self.transformer, controller):
            out = draw(prompt, *args, **kwargs)
        if not return_masks:
            return out
        assert controller.grid is not None  # latents of these pipelines have rows and columns
        names = tuple(_repeated(objects, n_each))
        return _output(out, controller.coherence().on_grid(controller.grid, names), True)

    def to_json_string(self) -> str:
        """Names the stock pipeline, so that what is saved is read by any program with diffusers."""
        content = json.loads(super().to_json_string())  # type: ignore[misc]
        stock = next(k for k in type(self).__mro__ if k.__module__.startswith("diffusers."))
        content["_class_name"] = stock.__name__
        return json.dumps(content, indent=2, sort_keys=True) + "\n"

    def _n_steps(self, arguments: Mapping[str, Any]) -> int:
        """Returns how often the transformer is asked, by a scheduler like that of the pipeline."""
        scheduler = type(self.scheduler).from_config(self.scheduler.config)
        asked = (arguments[name] for name in ("timesteps", "sigmas"))
        timesteps, _ = retrieve_timesteps(
            scheduler, arguments["num_inference_steps"], "cpu", *asked
        )
        return len(timesteps)

    def _tokens(
        self, prompt: str | list[str] | None, bindings: Sequence[Bound], given: Mapping[str, Any]
    ) -> tuple[list[tuple[TokenBinding, ...]], list[tuple[str, ...]]]:
        """Returns the bindings by tokens, and the words of their objects, of each prompt."""
        if prompt is None:
            texts: list[str | None] = [None] * len(bindings)
        else:
            texts = self._text_preprocessing(prompt, clean_caption=given["clean_caption"])  # type: ignore[attr-defined]
        tokens, objects = [], []
        for text, bound in zip(texts, bindings, strict=True):
            if all(isinstance(one, TokenBinding) for one in bound):
                tokens.append(tuple(one for one in bound if isinstance(one, TokenBinding)))
                objects.append(tuple(f"object {k + 1}" for k in range(len(bound))))
            elif text is None:
                raise DataError(
                    "prompt_embeds have no words to find a binding in; give the prompt, or a "
                    "TokenBinding with positions of tokens"
                )
            else:
                found = locate(text, [one for one in bound if not isinstance(one, TokenBinding)])
                tokens.append(token_bindings(text, self._offsets(text, given), found))
                objects.append(tuple(binding.object.text for binding in found))
        return tokens, objects

    def _offsets(self, text: str, given: Mapping[str, Any]) -> list[tuple[int, int]]:
        """Returns the characters of the text that each token the transformer gets says."""
        return self._tokenized(text, given["max_sequence_length"])

    def _tokenized(self, text: str, max_length: int) -> list[tuple[int, int]]:
        if not getattr(self.tokenizer, "is_fast", False):
            raise RecipeError(
                f"a {type(self.tokenizer).__name__} does not tell which characters a token says; "
                "load a fast tokenizer, or give bindings as TokenBinding"
            )
        read = self.tokenizer(
            text, truncation=True, max_length=max_length, return_offsets_mapping=True
        )
        return [(int(start), int(end)) for start, end in read["offset_mapping"]]


class SelfCoherencePixArtPipeline(_SelfCoherence, PixArtAlphaPipeline):
    """PixArt-alpha that holds attributes to their objects.

    Its arguments are those of `PixArtAlphaPipeline`, and `bindings` with what goes with them.
    """


class SelfCoherencePixArtSigmaPipeline(_SelfCoherence, PixArtSigmaPipeline):
    """PixArt-Sigma that holds attributes to their objects."""


class SelfCoherenceSanaPipeline(_SelfCoherence, SanaPipeline):
    """Sana that holds attributes to their objects."""

    def _offsets(self, text: str, given: Mapping[str, Any]) -> list[tuple[int, int]]:
        # the transformer gets the first token and the last of all, and most of the instruction
        # that stands before the prompt falls away
        n_kept = given["max_sequence_length"]
        if not given["complex_human_instruction"]:
            return self._tokenized(text, n_kept)
        instruction = "\n".join(given["complex_human_instruction"])
        n_all = len(self.tokenizer.encode(instruction)) + n_kept - 2
        offsets = self._tokenized(instruction + text, n_all)
        kept = [offsets[0], *offsets[n_all - n_kept + 1 :]]
        before = len(instruction)
        return [(max(start - before, 0), max(end - before, 0)) for start, end in kept]


def _by_prompt(prompt: Any, bindings: Any, embeds: Tensor | None) -> Sequence[Bound]:
    """Returns bindings by prompt.

    Raises:
        DataError: where they are not as many as the prompts.
    """
    if bindings is None:
        return []
    if isinstance(bindings, (str, Mapping)) or not isinstance(bindings, Sequence):
        raise DataError(f"bindings are a list of pairs (attribute, object); got {bindings!a}")
    if isinstance(prompt, str):
        return [bindings]
    n_prompts = len(prompt) if prompt is not None else 0 if embeds is None else len(embeds)
    if len(bindings) != n_prompts:
        raise DataError(
            f"expected bindings of {n_prompts} prompts, a list for each; got {len(bindings)} lists"
        )
    if not all(isinstance(bound, Sequence) and not isinstance(bound, str) for bound in bindings):
        raise DataError(f"expected a list of bindings for each prompt; got {bindings!a}")
    return bindings


def _ratios(prompt: Any, ratio: Any, objects: Sequence[tuple[str, ...]]) -> list[tuple[float, ...]]:
    """Returns the share of each object, by prompt."""
    maps = [ratio] if isinstance(prompt, str) else ratio
    if len(maps) != len(objects) or not all(isinstance(one, Mapping) for one in maps):
        raise DataError(
            f"scg_ratio is {{object: share}}, for each of {len(objects)} prompts; got {ratio!a}"
        )
    found = []
    for shares, names in zip(maps, objects, strict=True):
        known = {" ".join(name.split()).casefold(): share for name, share in shares.items()}
        keys = [" ".join(name.split()).casefold() for name in names]
        missing = [key for key in keys if key not in known]
        if missing:
            raise DataError(f"scg_ratio has no share for {missing[0]!a}; it has {sorted(known)}")
        found.append(tuple(float(known[key]) for key in keys))
    return found


def _repeated(rows: Sequence[Any], n_each: int) -> list[Any]:
    """Returns each row as often as a prompt has images, in the order of the pipelines."""
    return [row for row in rows for _ in range(n_each)]


def _output(out: Any, coherence: Coherence | None, is_wanted: bool) -> Any:
    if not is_wanted:
        return out
    if isinstance(out, tuple):
        return (*out, coherence)
    return SelfCoherenceOutput(images=out.images, coherence=coherence)
