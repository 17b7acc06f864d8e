"""What do all networks that rank share? A table of vectors for the fields, and how it is read.

A model adds a config and how its network reads vectors. A person's history enters as one more
field: the mean of the vectors of its items, which share their table with the first field. So does
a bag of several values, with a table of its own.

Letters: B rows, F category fields, N fields in all, M numbers, L history length, W places of bags,
D width of a field, C columns in all.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from etalage.data.features import FeatureTable
from etalage.layers.fm import Additive
from etalage.layers.fused import has_kernels
from etalage.layers.lookup import looked_up, read_at_once
from etalage.layers.mlp import Logit
from etalage.layers.norm import Foldable
from etalage.models.ranking.looked import Looked, mean_of_taken
from etalage.recipe.config import ModelConfig
from etalage.train.config import TrainingConfig
from etalage.train.memory import on_large_pages
from etalage.train.touched import TouchedAdam


class RankerConfig(ModelConfig):
    """Settings that every ranker with a network has."""

    width: int = Field(16, ge=1)
    """Numbers in the vector of a code."""
    vector_decay: float = Field(1e-4, ge=0)
    """Weight of the squared vectors of a batch's codes in the loss; keeps rare codes near 0."""
    table_decay: float = Field(0.0, ge=0)
    """Twice the weight of all squared vectors in the loss of every step, whichever codes it reads:
    the L2 of published click models, and the setting that matters most on small logs."""
    table_updates: Literal["all", "touched"] = "all"
    """Rows of the tables that a step moves: all, or those that its batch reads, while the others
    are owed their steps until they are read; faster from some million codes on."""
    objective: Literal["log_loss", "self_ensemble"] = "log_loss"
    """Log-loss, or two passes that learn from clicks together and are pulled to their mean; that
    takes twice the time and needs dropout."""
    training: TrainingConfig = TrainingConfig(
        epochs=10, batch_size=2048, learning_rate=2e-3, monitor="auc", patience=2
    )
    """The loop."""

    @model_validator(mode="after")
    def _check_training(self) -> Self:
        if self.table_updates == "touched" and self.training.weight_decay:
            raise ValueError(
                "table_updates='touched' knows no weight_decay; set table_decay, and weight_decay=0"
            )
        if self.objective == "self_ensemble" and not getattr(self, "dropout", 0.0):
            raise ValueError("self_ensemble needs dropout: without it both passes are the same")
        return self


class LayeredConfig(RankerConfig):
    """Settings of every ranker with layers of its own."""

    dropout: float = Field(0.2, ge=0, lt=1)
    """Share of activations dropped in training."""
    batch_norm: bool = False
    """Whether layers are normalised by batch; published click models do."""


class DeepConfig(LayeredConfig):
    """Settings of every ranker with a deep part."""

    hidden: tuple[int, ...] = (128, 64)
    """Widths of the deep layers."""


@dataclass(frozen=True)
class Columns:
    """The form of a table: what a network is built for, and all that it may be asked about."""

    sizes: tuple[int, ...]
    """Codes of each category field, code 0 included."""
    n_numbers: int
    history_length: int
    bags: tuple[tuple[int, int], ...] = ()
    """Codes and places of each bag."""

    @classmethod
    def of(cls, table: FeatureTable) -> Columns:
        """The form of a given table."""
        return cls(
            tuple(table.sizes.values()),
            len(table.number_names),
            table.history_length,
            tuple(table.bag_forms.values()),
        )

    @property
    def n_fields(self) -> int:
        """F, one more for each bag, and one more for a history."""
        return len(self.sizes) + len(self.bags) + (self.history_length > 0)


class RankingNetwork(nn.Module, ABC):
    """One table of vectors for all fields; code 0 of a field is unknown, and counts as zero.

    Subclasses implement `read`, and put what they end in into `out`, whose bias is a logit.

    Args:
        columns: what it is built for.
        width: numbers in the vector of a code.
        first_order: whether every code has a weight of its own besides its vector.
        number_fields: whether numbers are fields too.
    """

    starts: Tensor  # (F,) row before each field's code 1
    out: Logit | Additive
    reads_rounded = False
    """Whether it may judge by fields in bfloat16: where only maps, which round them, read them."""
    field_type: torch.dtype | None = None
    """Of a copy that only scores here: in which its fields are read, at once."""
    touched: TouchedAdam | None = None
    """What hands out rows of the tables while they are trained by touch."""

    def __init__(
        self,
        columns: Columns,
        width: int,
        *,
        first_order: bool = False,
        number_fields: bool = False,
    ) -> None:
        super().__init__()
        sizes = [*columns.sizes, *(size for size, _ in columns.bags)]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        n_sizes = len(columns.sizes)
        self.register_buffer("starts", torch.from_numpy(starts[:n_sizes]), persistent=False)
        self.bag_starts = starts[n_sizes:-1].tolist()
        self.bag_lengths = [length for _, length in columns.bags]
        self.first_order, self.width = first_order, width
        n_numbers = columns.n_numbers if number_fields else 0
        self.n_fields = columns.n_fields + n_numbers
        self.n_columns = self.n_fields * width + columns.n_numbers - n_numbers
        widths = (width, 1) if first_order else (width,)
        n_rows = max(int(starts[-1]), 1)  # of numbers alone: the row that stands for nothing
        self.tables = nn.ParameterList(_drawn(n_rows, n) for n in widths)
        with torch.no_grad():
            for table in self.tables:
                table[0] = 0  # and it stays so: what has no value gives none a gradient
        self.number_tables = nn.ParameterList(_drawn(n_numbers, n) for n in widths if n_numbers)

    def look_up(
        self,
        categories: Tensor,
        numbers: Tensor,
        history: Tensor | None = None,
        bags: Tensor | None = None,
    ) -> Looked:
        """Reads the tables.

        categories whole (B, F); numbers float (B, M); history whole (B, L), or (1, L) where it is
        the same for all rows; bags whole (B, W).
        """
        if self.field_type is not None and history is None and bags is None:
            fields, terms, pairs = read_at_once(
                [*self.tables], categories, self.starts, self.field_type
            )
            no_past = numbers.new_zeros(len(numbers), 0, self.width)
            return Looked(fields, numbers, terms, no_past, no_past[:, :, 0].bool(), pairs)
        ids = categories + self.starts * (categories > 0)  # (B, F)
        past_ids = None if history is None else history + 1  # (B, L): the codes of the first field
        bag_ids = self.bag_ids(bags)
        tables: Sequence[Tensor] = list(self.tables)  # unpacked, it could not be compiled
        if self.touched is not None and self.training:
            every = [ids, *bag_ids, *([] if past_ids is None else [past_ids])]
            tables, places = self.touched.read(*every)
            ids, bag_ids = places[0], places[1 : 1 + len(bag_ids)]
            past_ids = None if past_ids is None else places[-1]
        return self.looked(tables, ids, numbers, past_ids, bag_ids)

    def bag_ids(self, bags: Tensor | None) -> list[Tensor]:
        """Rows of the codes of each bag, (B, its places), 0 where there is none."""
        if bags is None:
            return []
        parts = bags.split(self.bag_lengths, 1)
        return [
            codes + start * (codes > 0) for codes, start in zip(parts, self.bag_starts, strict=True)
        ]

    def looked(
        self,
        tables: Sequence[Tensor],
        ids: Tensor,
        numbers: Tensor,
        past_ids: Tensor | None,
        bag_ids: list[Tensor],
        mean: Callable[[Tensor, Tensor], Tensor] = mean_of_taken,
    ) -> Looked:
        """Reads rows of the tables, with `mean` over the places of a history."""
        b = ids.shape[0]  # len() would fix it in an exported network
        read = []
        of_ids, of_bags = looked_up(tables, ids), [looked_up(tables, codes) for codes in bag_ids]
        of_past = None if past_ids is None else looked_up(tables, past_ids)  # (B, L, D)
        past = numbers.new_zeros(b, 0, self.width) if of_past is None else of_past[0]
        for n in range(len(tables)):
            fields = [of_ids[n]]
            fields += [
                mean_of_taken(vectors[n], codes)
                for vectors, codes in zip(of_bags, bag_ids, strict=True)
            ]
            if past_ids is not None and of_past is not None:
                fields.append(mean(of_past[n], past_ids).expand(b, 1, -1))
            if len(self.number_tables):
                fields.append(numbers[:, :, None] * self.number_tables[n])
            read.append(fields[0] if len(fields) == 1 else torch.cat(fields, 1))
        is_past = past.new_zeros(b, 0, dtype=torch.bool) if past_ids is None else past_ids > 0
        none = numbers.new_zeros(b, 0)
        terms = read[1].squeeze(2) if self.first_order else none
        left = none if len(self.number_tables) else numbers
        return Looked(read[0], left, terms, past, is_past)

    @property
    def widest(self) -> int:
        """Numbers of the largest thing that is made of a row; where that is more than what a map
        makes of it, networks say so."""
        maps = (module.out_features for module in self.modules() if isinstance(module, nn.Linear))
        return max([self.n_columns, *maps])

    @abstractmethod
    def read(self, x: Looked) -> Tensor:
        """Logits, float (B,)."""

    def read_twice(self, x: Looked) -> tuple[Tensor, Tensor]:
        """Logits of two passes that drop different things; what they share is computed once."""
        return self.read(x), self.read(x)

    def served(self) -> RankingNetwork:
        """A copy with the same answers: batch norms are in the maps before them.

        It shares the tables, which may be most of the memory there is.
        """
        served = copy.deepcopy(self, {id(part): part for part in (self.tables, self.touched)})
        for module in served.modules():
            if isinstance(module, Foldable):
                module.fold()
        return served

    def scoring(self, *, rounded: bool) -> RankingNetwork:
        """A copy as is served, for this process alone: what can be is read at once.

        Args:
            rounded: whether maps are held in bfloat16; autocast would round them at every batch.
        """
        copied, is_half = self.served(), rounded and self.reads_rounded
        pays = is_half or self.first_order  # vectors alone, as they are, are as soon read by torch
        on_cpu = self.starts.device.type == "cpu"
        if pays and on_cpu and not len(self.number_tables) and has_kernels():
            copied.field_type = torch.bfloat16 if is_half else torch.float32
        for module in copied.modules():
            if rounded and isinstance(module, nn.Linear) and not isinstance(module, Logit):
                module.bfloat16()
        return copied

    def forward(
        self,
        categories: Tensor,
        numbers: Tensor,
        history: Tensor | None = None,
        bags: Tensor | None = None,
    ) -> Tensor:
        """Logits, float (B,)."""
        return self.read(self.look_up(categories, numbers, history, bags))


def _drawn(n_rows: int, width: int) -> Tensor:
    return on_large_pages(torch.empty(n_rows, width)).normal_(std=0.01)
