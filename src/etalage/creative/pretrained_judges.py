"""Which models can judge a picture? CLIP by words, BLIP by questions, each from a local folder.

`ClipJudge` asks which word of a kind fits best, `VqaJudge` asks a question and takes how sure the
"yes" is.

Letters: W wordings of one pair.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etalage.artefact import sha256_of
from etalage.creative.bindings import check_pairs
from etalage.creative.compose import article
from etalage.creative.device import check_device
from etalage.creative.judge import HALF, Judge, Pair, Verdict
from etalage.creative.shapes.judge import ShapeJudge
from etalage.creative.vocabulary import WORDS, Vocabulary, key_of
from etalage.errors import DataError, naming_extras
from etalage.language.transformer import quiet_loading

if TYPE_CHECKING:
    from PIL.Image import Image

PARTS = ("*.json", "*.safetensors", "*.bin", "*.txt", "*.model")
"""Files of a folder that a score depends on."""
LIBRARIES = ("etalage", "transformers", "torch")


class ClipJudge:
    """Compares the words of a pair with the same words about other attributes of its kind.

    The score is the softmax of what CLIP thinks of "a photo of a red mug", "a photo of a blue mug"
    and so on. Words that are one within another, as red and dark red, are not set against each
    other, and neither are shades: nobody could tell what is right.

    Args:
        folder: a CLIP model as `save_pretrained` leaves it.
        device: as torch names it.
        threshold: the least score that is accepted.
        words: where the other attributes come from.

    Raises:
        MissingExtraError: when torch or transformers is not installed.
        DataError: when the folder holds no such model.
        RecipeError: for a device that there is not.
    """

    kind = "clip"

    def __init__(
        self,
        folder: str | Path,
        device: str = "cpu",
        threshold: float = HALF,
        words: Vocabulary = WORDS,
    ) -> None:
        self._model, self._processor = _loaded(Path(folder), self.kind, "CLIPModel", device)
        self._device = device
        self.threshold = threshold
        self.words = words
        self.fingerprint = _fingerprint(Path(folder), self.kind, threshold, words.attributes)

    def check(self, image: Image, pairs: Sequence[Pair]) -> Verdict:
        """Scores every pair; DataError for an attribute that is not of the vocabulary."""
        import torch

        texts = [
            [f"a photo of {article(w)} {w} {thing}" for w in wordings(attribute, self.words)]
            for attribute, thing in check_pairs(pairs)
        ]
        if not texts:
            return Verdict({}, self.threshold)
        inputs = self._processor(
            text=[text for of_pair in texts for text in of_pair], images=image.convert("RGB"),
            return_tensors="pt", padding=True, truncation=True,
        )  # fmt: skip
        with torch.inference_mode():
            logits = self._model(**inputs.to(self._device)).logits_per_image  # (1, all W)
        of_pairs = logits[0].double().split([len(of_pair) for of_pair in texts])
        scores = {
            (attribute, thing): float(found.softmax(-1)[0])
            for (attribute, thing), found in zip(pairs, of_pairs, strict=True)
        }
        return Verdict(scores, self.threshold)


class VqaJudge:
    """Asks "is the mug red?" and takes the probability of "yes" among yes and no.

    Both are read as the first word of the answer. Attributes need not be of a vocabulary.

    Args:
        folder: a BLIP model for question answering as `save_pretrained` leaves it.
        device: as torch names it.
        threshold: the least score that is accepted.

    Raises:
        MissingExtraError: when torch or transformers is not installed.
        DataError: when the folder holds no such model, or one that has no word for yes or no.
        RecipeError: for a device that there is not.
    """

    kind = "blip"

    def __init__(self, folder: str | Path, device: str = "cpu", threshold: float = HALF) -> None:
        name = "BlipForQuestionAnswering"
        self._model, self._processor = _loaded(Path(folder), self.kind, name, device)
        self._device = device
        self.threshold = threshold
        self.fingerprint = _fingerprint(Path(folder), self.kind, threshold, {})
        tokenizer = self._processor.tokenizer
        self._answers = tokenizer.convert_tokens_to_ids(["yes", "no"])
        if len({*self._answers, tokenizer.unk_token_id}) != 3:
            raise DataError(f"the tokenizer of {folder} has no single token for yes and for no")

    def check(self, image: Image, pairs: Sequence[Pair]) -> Verdict:
        """Scores every pair."""
        import torch

        scores = {}
        look, read = self._processor.image_processor, self._processor.tokenizer
        with torch.inference_mode():
            pixels = look(image.convert("RGB"), return_tensors="pt").to(self._device)
            seen = self._model.vision_model(pixel_values=pixels["pixel_values"])[0]
            for attribute, thing in check_pairs(pairs):
                asked = f"is the {thing} {attribute}?".lower()
                inputs = read(asked, return_tensors="pt", truncation=True).to(self._device)
                scores[attribute, thing] = self._yes(inputs, seen)
        return Verdict(scores, self.threshold)

    def _yes(self, inputs: Any, seen: Any) -> float:
        """The chance of "yes", from what the model makes of a question and a picture."""
        import torch

        asked = self._model.text_encoder(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:-1], dtype=torch.long).to(self._device),
        )[0]  # (1, tokens, width)
        start = torch.full((1, 1), self._model.decoder_start_token_id, device=self._device)
        logits = self._model.text_decoder(
            input_ids=start,
            encoder_hidden_states=asked,
            encoder_attention_mask=inputs["attention_mask"],
        ).logits  # (1, 1, words)
        return float(logits[0, -1, self._answers].double().softmax(-1)[0])


JUDGES: dict[str, type[ClipJudge] | type[VqaJudge]] = {
    judge.kind: judge for judge in (ClipJudge, VqaJudge)
}


def wordings(attribute: str, words: Vocabulary = WORDS) -> list[str]:
    """The attribute, and then those of its kind that it is set against.

    Raises:
        DataError: for one that the vocabulary has not, or has nothing to set against.

    >>> wordings("dark red")[:4]
    ['dark red', 'orange', 'yellow', 'green']
    """
    asked = words.attribute(attribute)
    said = {*key_of(asked).split()}
    kind = words.kinds[asked]
    keys = [(word, key_of(word)) for word in words.attributes[kind]]
    others = [word for word, key in keys if " " not in key and key not in said]
    if not others:
        raise DataError(
            f"the vocabulary has no other {kind} than {asked!r} to set it against; add one, or "
            "take a judge that answers questions"
        )
    return [asked, *others]


def judge_in(folder: str | Path, device: str = "cpu", threshold: float = HALF) -> Judge:
    """The judge that a folder holds, CLIP or BLIP, or the one called `shapes`, of the toy.

    Raises:
        DataError: when it holds neither.
    """
    if str(folder) == "shapes":
        return ShapeJudge(threshold)
    kind = _kind_of(Path(folder))
    if kind not in JUDGES:
        raise DataError(
            f"{folder} holds a model of kind {kind!a}; a judge is {' or '.join(JUDGES)}"
        )
    return JUDGES[kind](folder, device, threshold)


def _kind_of(folder: Path) -> Any:
    try:
        return json.loads((folder / "config.json").read_bytes())["model_type"]
    except (OSError, ValueError, KeyError, TypeError):
        what = "has no config.json that names a model" if folder.is_dir() else "is no folder"
        raise DataError(
            f"{folder} {what}; give the folder of a judge as `save_pretrained` leaves it"
        ) from None


def _loaded(folder: Path, kind: str, class_name: str, device: str) -> tuple[Any, Any]:
    """Model, on the device, and processor; DataError for another kind, or missing weights."""
    found = _kind_of(folder)
    if found != kind:
        raise DataError(f"{folder} holds a model of kind {found!a}; expected {kind!r}")
    with naming_extras("creative"):
        import torch
        import transformers
    check_device(device)
    offline = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quiet_loading():
            processor = transformers.AutoProcessor.from_pretrained(folder, **offline)
            model, told = getattr(transformers, class_name).from_pretrained(
                folder, dtype=torch.float32, output_loading_info=True, **offline
            )
    except ImportError:
        raise
    except Exception as error:  # each kind of model fails in ways of its own
        first = str(error).strip().partition("\n")[0]
        raise DataError(f"{folder} holds no {class_name} that can be loaded: {first}") from error
    if told["missing_keys"]:  # transformers would fill them with noise, and judge by it
        raise DataError(
            f"{folder} holds no {class_name}: it has no weights for "
            f"{min(told['missing_keys'])} and {len(told['missing_keys']) - 1} others"
        )
    return model.eval().to(device), processor


def _fingerprint(folder: Path, kind: str, threshold: float, words: Mapping[str, Any]) -> str:
    files = sorted({path for part in PARTS for path in folder.glob(part)})
    versions = [version(name) for name in LIBRARIES]
    told = json.dumps([kind, threshold, words, versions, [path.name for path in files]])
    return hashlib.sha256(f"{told}{sha256_of(*files)}".encode()).hexdigest()
