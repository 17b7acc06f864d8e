"""What makes a picture? A pipeline from a folder, and all of it that a picture depends on.

A picture can be made again, and found again, only where everything that made it is known: weights,
scheduler, precision, device, the versions of what computes, and each argument of the call.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from etalage.creative.device import check_device, named
from etalage.creative.shapes.pictures import TRAINED
from etalage.errors import CapacityError, DataError, RecipeError, did_you_mean, naming_extras
from etalage.language.transformer import quiet_loading

PIPELINES = {
    "PixArtAlphaPipeline": "SelfCoherencePixArtPipeline",
    "PixArtSigmaPipeline": "SelfCoherencePixArtSigmaPipeline",
    "SanaPipeline": "SelfCoherenceSanaPipeline",
}
"""Pipelines that can be guided, and the class that guides each."""
TOY = "toy"
"""How the toy that draws shapes is asked for, where a folder would be."""
LIBRARIES = ("etalage", "diffusers", "transformers", "torch")
OF_A_FILE = frozenset({"transformers_version", "name_or_path", "architectures", "dtype"})
"""What a configuration says of who wrote it, and of what the weights tell themselves."""
OF_A_REQUEST = frozenset(
    {
        "prompt", "negative_prompt", "height", "width", "num_inference_steps", "guidance_scale",
        "generator", "latents", "num_images_per_prompt", "output_type", "return_dict",
        "prompt_embeds", "prompt_attention_mask", "negative_prompt_embeds",
        "negative_prompt_attention_mask", "callback", "callback_steps", "bindings",
        "return_masks",
    }
)  # fmt: skip
"""Arguments of a pipeline that a request decides, and no setting."""


@dataclass(frozen=True)
class Maker:
    """Everything but the request that a picture depends on."""

    pipeline: str
    """Class of the pipeline."""
    weights: str
    """Sha256 of every weight, tokenizer and configuration."""
    scheduler: Mapping[str, Any]
    settings: Mapping[str, Any]
    """More arguments of the pipeline's call."""
    dtype: str
    device: str
    libraries: Mapping[str, str]

    @classmethod
    def of(cls, pipeline: Any, settings: Mapping[str, Any] | None = None) -> Maker:
        """Reads a pipeline as it is in memory, about a second for each GB of weights.

        Args:
            pipeline: of diffusers.
            settings: arguments of its call that no request decides, such as
                `max_sequence_length`: texts, numbers and truth values.

        Raises:
            RecipeError: for a setting that the pipeline does not take, or a request decides.
            CapacityError: for weights that are not in memory.
        """
        settings = dict(settings or {})
        _check_settings(pipeline, settings)
        device = getattr(pipeline, "_execution_device", pipeline.device)
        return cls(
            pipeline=type(pipeline).__name__,
            weights=_digest(pipeline.components),
            scheduler=_scheduler(pipeline),
            settings=settings,
            dtype=str(pipeline.dtype).removeprefix("torch."),
            device=named(device),
            libraries={name: version(name) for name in LIBRARIES},
        )

    def told(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def open_pipeline(folder: str | Path, device: str = "cpu", dtype: str | None = None) -> Any:
    """Opens a pipeline that can be guided, from a folder and nowhere else.

    Args:
        folder: as `save_pretrained` of diffusers leaves it, or `toy`, the one that comes along.
        device: as torch names it.
        dtype: of the weights; float32 on a processor and bfloat16 elsewhere, without it.

    Raises:
        MissingExtraError: when torch, diffusers or transformers is not installed.
        DataError: when the folder holds no such pipeline.
        RecipeError: for a dtype or a device that there is not.
    """
    folder = TRAINED if str(folder) == TOY else Path(folder)
    try:
        kind = json.loads((folder / "model_index.json").read_bytes())["_class_name"]
    except (OSError, ValueError, KeyError, TypeError):
        what = "has no model_index.json that names one" if folder.is_dir() else "is no folder"
        raise DataError(
            f"{folder} {what}; give the folder of a diffusers pipeline, as `save_pretrained` "
            "leaves it"
        ) from None
    guided = PIPELINES.get(kind, kind) if isinstance(kind, str) else ""
    if guided not in PIPELINES.values():
        raise DataError(f"{folder} holds a {kind!a}; what can be guided is {', '.join(PIPELINES)}")
    with naming_extras("creative"):
        import torch
        from diffusers.utils import is_accelerate_available, logging

        from etalage.creative import pipelines
    check_device(device)
    found = getattr(torch, dtype or ("float32" if device == "cpu" else "bfloat16"), None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise RecipeError(f"{dtype!a} is no dtype of weights; give float32, bfloat16 or float16")
    logging.disable_progress_bar()
    shown = logging.get_verbosity()
    logging.set_verbosity_error()  # a part of another class than usual is a choice, like the toy's
    try:
        with quiet_loading():
            pipeline = getattr(pipelines, guided).from_pretrained(
                folder,
                local_files_only=True,
                dtype=found,
                low_cpu_mem_usage=is_accelerate_available(),  # without it, True is a page of noise
            )
    except ImportError:
        raise
    except Exception as error:  # each kind of part fails in ways of its own
        first = str(error).strip().partition("\n")[0]
        raise DataError(f"{folder} holds no {kind} that can be loaded: {first}") from error
    finally:
        logging.set_verbosity(shown)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def _check_settings(pipeline: Any, settings: Mapping[str, Any]) -> None:
    taken = {
        name
        for parent in type(pipeline).__mro__
        if "__call__" in vars(parent)
        for name, facts in inspect.signature(vars(parent)["__call__"]).parameters.items()
        if facts.kind in (facts.POSITIONAL_OR_KEYWORD, facts.KEYWORD_ONLY) and name != "self"
    }
    known = {name for name in taken - OF_A_REQUEST if not name.startswith("scg_")}
    for name, value in settings.items():
        if name in taken - known:
            raise RecipeError(f"{name} belongs to each request; it is no setting of a pipeline")
        if name not in known:
            raise RecipeError(
                f"{type(pipeline).__name__} takes no {name!a}{did_you_mean(name, known)}; its "
                f"settings are {', '.join(sorted(known))}"
            )
        if value is not None and not isinstance(value, str | int | float):
            raise RecipeError(
                f"expected a text, a number or a truth value for {name}; got {value!a}"
            )


def _digest(components: Mapping[str, Any]) -> str:
    """Sha256 of all parts but the scheduler, whose settings are told apart."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(components):
        part = components[name]
        if part is None or name == "scheduler":
            continue
        facts = [name, type(part).__name__, _config(part)]
        digest.update(json.dumps(facts, sort_keys=True, default=str).encode())
        if hasattr(part, "backend_tokenizer"):
            told = json.loads(part.backend_tokenizer.to_str())
            told |= {"truncation": None, "padding": None}  # as the last call left them
            digest.update(json.dumps(told).encode())
        if isinstance(part, torch.nn.Module):
            for key, tensor in sorted(part.state_dict().items()):
                if tensor.device.type == "meta":
                    raise CapacityError(
                        f"{name}.{key} is not in memory, so nobody knows what made a picture; "
                        "offload whole parts (enable_model_cpu_offload), or none"
                    )
                digest.update(f"{key}{tensor.dtype}{tuple(tensor.shape)}".encode())
                flat = tensor.detach().cpu().contiguous().reshape(-1)
                digest.update(flat.view(torch.uint8).numpy())
    return digest.hexdigest()


def _config(part: Any) -> dict[str, Any]:
    config = getattr(part, "config", {})
    facts = config.to_dict() if hasattr(config, "to_dict") else dict(config)
    return {
        name: value
        for name, value in facts.items()
        if not name.startswith("_") and name not in OF_A_FILE
    }


def _scheduler(pipeline: Any) -> dict[str, Any]:
    scheduler = pipeline.components.get("scheduler")
    facts = {"class": type(scheduler).__name__, **_config(scheduler)}
    found: dict[str, Any] = json.loads(json.dumps(facts, default=str))
    return found
