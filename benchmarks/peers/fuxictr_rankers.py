"""FuxiCTR's rankers on the same rows: training, judging and scoring, in rows a second.

Runs in an environment of its own:

    python -m venv benchmarks/peers/.venv-fuxictr
    benchmarks/peers/.venv-fuxictr/bin/pip install torch==2.13.0 fuxictr==2.3.10
    benchmarks/peers/.venv-fuxictr/bin/python benchmarks/peers/fuxictr_rankers.py JOB

The package does not ship its zoo of models, so these are put together from its layers in its way;
loaders, training steps, judging and scoring are its own. JOB is JSON; `ctr_speed.py` writes it.
Prints one JSON line.
"""

import json
import sys
import warnings
from collections import OrderedDict
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from cost import cost
from fuxictr.features import FeatureMap
from fuxictr.pytorch.dataloaders import RankDataLoader
from fuxictr.pytorch.layers import CrossNetV2, FactorizationMachine, FeatureEmbedding, MLP_Block
from fuxictr.pytorch.models import BaseModel
from torch import Tensor, nn

warnings.simplefilter("ignore")
WARM_UP = 3


class Peer(BaseModel):
    """What all three have: a table a field, Adam, its L2 and its clipping."""

    def __init__(self, feature_map: FeatureMap, settings: dict[str, Any]) -> None:
        super().__init__(
            feature_map, embedding_regularizer=settings["table_decay"] or None,
            verbose=0, model_root="", metrics=["AUC", "logloss"],
        )  # fmt: skip
        self.embedding_layer = FeatureEmbedding(feature_map, settings["width"])
        self.assemble(feature_map, settings)
        self.compile("adam", "binary_crossentropy", 1e-3)
        self.reset_parameters()
        self.model_to_device()
        # what `fit` sets before it runs epochs
        self._max_gradient_norm, self._stop_training = 10.0, False
        self._total_steps, self._eval_steps = 0, sys.maxsize

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        columns = self.get_inputs(inputs)
        logit = self.logit(columns, self.embedding_layer(columns))
        return {"y_pred": self.output_activation(logit)}

    def mlp(self, feature_map: FeatureMap, settings: dict[str, Any], ends_in: int | None) -> Any:
        return MLP_Block(
            feature_map.sum_emb_out_dim(), settings["hidden"], output_dim=ends_in,
            dropout_rates=settings["dropout"], batch_norm=settings.get("batch_norm", False),
        )  # fmt: skip


class FM(Peer):
    """Pairwise products of fields, and first-order weights."""

    def assemble(self, feature_map: FeatureMap, settings: dict[str, Any]) -> None:
        self.fm = FactorizationMachine(feature_map)

    def logit(self, columns: dict[str, Tensor], vectors: Tensor) -> Tensor:
        return self.fm(columns, vectors)


class DeepFM(Peer):
    """FM, and a deep network on the same vectors."""

    def assemble(self, feature_map: FeatureMap, settings: dict[str, Any]) -> None:
        self.fm = FactorizationMachine(feature_map)
        self.deep = self.mlp(feature_map, settings, 1)

    def logit(self, columns: dict[str, Tensor], vectors: Tensor) -> Tensor:
        return self.fm(columns, vectors) + self.deep(vectors.flatten(start_dim=1))


class DCNv2(Peer):
    """Crosses, and a deep network in parallel."""

    def assemble(self, feature_map: FeatureMap, settings: dict[str, Any]) -> None:
        width = feature_map.sum_emb_out_dim()
        self.crossnet = CrossNetV2(width, settings["n_crosses"])
        self.deep = self.mlp(feature_map, settings, None)
        self.fc = nn.Linear(width + settings["hidden"][-1], 1)

    def logit(self, columns: dict[str, Tensor], vectors: Tensor) -> Tensor:
        flat = vectors.flatten(start_dim=1)
        return self.fc(torch.cat([self.crossnet(flat), self.deep(flat)], dim=-1))


MODELS = {"fm": FM, "deepfm": DeepFM, "dcn_v2": DCNv2}


def described(sizes: list[int], width: int) -> FeatureMap:
    """Its description of columns, as its preprocessing would write it."""
    feature_map = FeatureMap("rows", "")
    feature_map.features = OrderedDict(
        (
            f"f{n:02}",
            {"source": "", "type": "categorical", "padding_idx": 0, "vocab_size": size},
        )
        for n, size in enumerate(sizes)
    )
    feature_map.labels = ["label"]
    feature_map.num_fields = feature_map.get_num_fields()
    feature_map.default_emb_dim = width
    feature_map.set_column_index()
    return feature_map


def main(job: dict[str, Any]) -> None:
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    settings, folder, seconds = job["settings"], Path(job["folder"]), job["seconds"]
    feature_map = described(job["sizes"], settings["width"])
    train, valid = RankDataLoader(
        feature_map, stage="train", data_format="npz", shuffle=True, num_workers=job["workers"],
        batch_size=job["batch_size"], train_data=str(folder / "train.npz"),
        valid_data=str(folder / "valid.npz"),
    )  # fmt: skip
    model = MODELS[settings["kind"]](feature_map, settings)
    model.train_epoch(islice(train, WARM_UP))
    wall, cpu = cost(lambda: model.train_epoch(train), seconds)
    judged, _ = cost(lambda: model.evaluate(valid), seconds / 3)
    scored, _ = cost(lambda: model.predict(valid), seconds / 3)
    print(
        json.dumps(
            {
                "n_parameters": sum(p.numel() for p in model.parameters()),
                "train": train.num_samples / wall,
                "train_cpu": train.num_samples / cpu,
                "judge": valid.num_samples / judged,
                "score": valid.num_samples / scored,
            }
        )
    )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
