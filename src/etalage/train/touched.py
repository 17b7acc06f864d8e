"""How does a step stay small where a table is large? Only rows that a batch reads are touched.

Dense Adam moves every row at every step: by what its moments still hold, and by the table's L2.
Here a row is owed these steps until a batch reads it, and is brought up to date before it is read,
so that a gradient is taken where dense Adam would take it. A row that every batch reads moves as
in dense Adam, bit for bit; the others as near as `catch_up` says.

Letters: V rows of a table, D width, U rows that a batch reads, n rows of a chunk.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.adam import adam

from etalage.layers.fused import has_kernels
from etalage.layers.threads import in_team, parts_of
from etalage.train.memory import on_large_pages

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
LOG1, LOG2 = math.log(BETA1), math.log(BETA2)
CHUNK = 4096
"""Rows brought up to date at once: their numbers stay in the cache of a core."""
EARLY, MIDDLE = 6.0, 40.0
"""Most steps of the first and second part of what is owed: the first moment forgets in ten steps,
the second in a thousand."""


class TouchedAdam:
    """Adam for tables that share their rows, with an L2 of weight `decay` / 2 on all of each.

    `read` before a step's forward pass, `step` after its backward pass; `flush` before anybody
    looks at whole tables. What is owed is paid at the latest learning rate, so with a schedule
    `flush` should not be rare; the loop does it every epoch. Steps that are owed are not clipped.
    """

    def __init__(self, tables: Iterable[Tensor], decay: float = 0.0) -> None:
        self.tables, self.decay = [*tables], float(decay)
        first, *others = self.tables
        if any(len(table) != len(first) for table in others):
            raise ValueError("tables that are touched together must have as many rows each")
        self.moments = [
            (on_large_pages(torch.zeros_like(t)), on_large_pages(torch.zeros_like(t)))
            for t in self.tables
        ]
        self.n_steps, self.rate = 0, 0.0
        self.last = torch.zeros(len(first), dtype=torch.int32, device=first.device)
        """Step up to which each row is paid, (V,)."""
        self.blocks: list[Tensor] = []
        """Copies (U, D) of the rows of the batch, with their gradients after its backward pass."""
        self._read: list[tuple[Tensor, Tensor]] = []
        self._rows = torch.zeros(0, dtype=torch.int64)
        self._oldest = 0  # step up to which all rows are paid
        self._is_read = torch.zeros_like(self.last, dtype=torch.bool)
        self._places = torch.zeros_like(self.last)

    def read(self, *ids: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Returns the rows of each table that whole ids of any shapes name, up to date and ready
        for gradients, (U, D), with row 0 first; and for each `ids` the places of its rows there.
        """
        for some in ids:
            self._is_read[some] = True
        self._is_read[0] = False
        rows = _where(self._is_read)
        self._is_read[rows] = False
        self._rows = rows = torch.cat([rows.new_zeros(1), rows])  # (U,)
        self._places[rows] = torch.arange(len(rows), dtype=torch.int32, device=rows.device)
        self.blocks, self._read = self._fetch(rows)
        for block in self.blocks:
            block.requires_grad_()
        places = [self._places.index_select(0, i.reshape(-1)).view(i.shape) for i in ids]
        return self.blocks, places

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Moves the rows that were read along their gradients, which hold the L2 already."""
        self.rate = rate
        gradients: list[Tensor] = [b.grad for b in self.blocks if b.grad is not None]
        if len(gradients) != len(self.blocks):
            raise ValueError("rows were read, but the loss gave them no gradient")
        steps = [torch.full((), float(self.n_steps), device=b.device) for b in self.blocks]
        blocks = [block.detach() for block in self.blocks]
        adam(
            blocks, gradients, [m for m, _ in self._read], [v for _, v in self._read], [], steps,
            fused=True, amsgrad=False, beta1=BETA1, beta2=BETA2, lr=rate, weight_decay=0.0,
            eps=EPS, maximize=False,
        )  # fmt: skip
        self.n_steps += 1
        self._write(self._rows, blocks, self._read)
        self.blocks, self._read = [], []

    @torch.no_grad()
    def flush(self) -> None:
        """Brings every row up to date."""
        if kernels := self._kernels():
            since = self.last.numpy()
            for arrays in self._arrays():
                parts = parts_of(len(since))
                in_team(partial(kernels.sweep, *arrays, since, self.n_steps, self._rule), parts)
        else:
            for start in range(0, len(self.last), CHUNK):
                rows = _where(self.last[start : start + CHUNK] < self.n_steps) + start
                self._write(rows, *self._fetch(rows))
        self.last.fill_(self.n_steps)
        self._oldest = self.n_steps

    def state_dict(self) -> dict[str, Tensor]:
        """What a resumed run needs; right after `flush` alone, when no row is owed anything."""
        state = {"n_steps": torch.tensor(self.n_steps)}
        for n, (m, v) in enumerate(self.moments):
            state |= {f"exp_avg_{n}": m, f"exp_avg_sq_{n}": v}
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Puts it back."""
        self.n_steps = int(state["n_steps"])
        self.last.fill_(self.n_steps)
        self._oldest = self.n_steps
        for n, (m, v) in enumerate(self.moments):
            m.copy_(state[f"exp_avg_{n}"])
            v.copy_(state[f"exp_avg_sq_{n}"])

    @torch.no_grad()
    def _fetch(self, rows: Tensor) -> tuple[list[Tensor], list[tuple[Tensor, Tensor]]]:
        """Copies of rows of the tables and of their moments, up to date."""
        n_rows = len(rows)
        blocks = [table.new_empty(n_rows, table.shape[1]) for table in self.tables]
        moments = [(torch.empty_like(block), torch.empty_like(block)) for block in blocks]
        if kernels := self._kernels():
            since = self.last.numpy()
            steps = (rows.numpy(), since, self._oldest, self.n_steps, self._rule)
            for arrays, block, (m, v) in zip(self._arrays(), blocks, moments, strict=True):
                copies = (block.numpy(), m.numpy(), v.numpy())
                in_team(partial(kernels.fetch, *arrays, *steps, copies), parts_of(n_rows))
            return blocks, moments
        late = _where(self.last[rows] < self.n_steps)
        for table, (m, v), block, (m_to, v_to) in zip(
            self.tables, self.moments, blocks, moments, strict=True
        ):
            for whole, to in ((table.detach(), block), (m, m_to), (v, v_to)):
                torch.index_select(whole, 0, rows, out=to)
            for some in late.split(max(len(late), 1) if table.is_cuda else CHUNK):
                old = block[some], m_to[some], v_to[some]
                catch_up(*old, self.last[rows[some]], self.n_steps, self.rate, self.decay)
                block[some], m_to[some], v_to[some] = old
        return blocks, moments

    def _write(
        self, rows: Tensor, blocks: list[Tensor], moments: list[tuple[Tensor, Tensor]]
    ) -> None:
        """Puts back what `_fetch` gave."""
        self.last[rows] = self.n_steps
        if kernels := self._kernels():
            for arrays, block, (m, v) in zip(self._arrays(), blocks, moments, strict=True):
                copies = (block.numpy(), m.numpy(), v.numpy())
                in_team(partial(kernels.put, *arrays, rows.numpy(), copies), parts_of(len(rows)))
            return
        for table, (m, v), block, (m_of, v_of) in zip(
            self.tables, self.moments, blocks, moments, strict=True
        ):
            for whole, of in ((table.detach(), block), (m, m_of), (v, v_of)):
                whole.index_copy_(0, rows, of)

    @property
    def _rule(self) -> tuple[Any, ...]:
        """What the kernels are told besides rows and steps."""
        return self.rate, self.decay, (BETA1, BETA2), EPS, (EARLY, MIDDLE)

    def _kernels(self) -> Any:
        """`train.touched_kernels`, or None where they cannot run."""
        is_plain = all(table.dtype == torch.float32 for table in self.tables)
        if not is_plain or self.last.is_cuda or not has_kernels():
            return None
        return import_module("etalage.train.touched_kernels")

    def _arrays(self) -> list[tuple[NDArray[Any], ...]]:
        """Each table with its moments, as the kernels see them."""
        together = zip(self.tables, self.moments, strict=True)
        return [(w.detach().numpy(), m.numpy(), v.numpy()) for w, (m, v) in together]


def _where(is_so: Tensor) -> Tensor:
    """Places of what is true, (n,); on a processor numpy finds few among many sooner."""
    if is_so.is_cuda:
        return is_so.nonzero().squeeze(1)
    return torch.from_numpy(np.flatnonzero(is_so.numpy()))


def catch_up(
    w: Tensor, m: Tensor, v: Tensor, since: Tensor, until: int, rate: float, decay: float
) -> None:
    """Moves rows (n, D) and their moments, in place, over steps whose only gradient is ℓ = λ w.

    k = `until` - `since` steps of Adam, at least one, are taken in three parts that grow. Within a
    part of s steps from step t, with ℓ as it is at its start, a moment has the closed form
    m_j = β^j m + (1 - β^j) ℓ, which corrected for its bias is ℓ + β^j (m - (1 - β^t) ℓ) / (1 -
    β^(t+j)). Of the second moment the value amid the part stands for all of it, V. With x the first
    moment's excess over ℓ, and E = lr λ s / √V, w becomes w' = e^(-E) (w - lr Σ_j β1^j x / √V):
    what a frozen V without momentum would give, so w comes to rest at 0 and never passes it by
    more than its momentum carries. The first moment follows ℓ as if it moved evenly from λ w to
    λ w', and the second takes the mean of ℓ² of such a move.

    Without L2 one part does, and w misses dense Adam by less than a fiftieth and 2 / t of the
    learning rate, t being the step at which a row was last read. With it, dense Adam may swing
    through 0 where this does not: w misses it by up to four learning rates in the mean, most for
    some 20 to 100 steps owed, and at most by four and an eighth of its way; by none once both have
    come to rest.

    Args:
        w, m, v: rows, first and second moments.
        since: the step up to which each row is paid, whole (n,).
        until: the step to bring it to.
        rate: learning rate lr.
        decay: λ.
    """
    t = since[:, None].to(w.dtype)  # (n, 1)
    owed = until - t
    if not decay:
        _coast(w, m, v, t, owed, rate)
        return
    early = (owed / 3).clamp(max=EARLY)
    middle = ((owed - early) / 2).clamp(max=MIDDLE)
    for s in (early, middle, owed - early - middle):
        _part(w, m, v, t, s, rate, decay)
        t = t + s


def _coast(w: Tensor, m: Tensor, v: Tensor, t: Tensor, s: Tensor, rate: float) -> None:
    """Steps without any gradient: the first moment moves w until it is spent."""
    kept1, kept2 = torch.exp(s * LOG1), torch.exp(s * LOG2)
    tail, age = _tail(t, s, kept1)
    w -= m * (tail * rate) / (v * _kept(t, age)).sqrt_().add_(EPS)
    m *= kept1
    v *= kept2


def _part(w: Tensor, m: Tensor, v: Tensor, t: Tensor, s: Tensor, rate: float, decay: float) -> None:
    """Steps whose gradient is that of the L2; letters as in `catch_up`."""
    kept1, kept2 = torch.exp(s * LOG1), torch.exp(s * LOG2)  # β^s, (n, 1)
    pull = w * decay  # ℓ, (n, D)
    square = pull * pull
    # steps lie at the ends of unit stretches, so their mean is half a step after the middle
    root = torch.addcmul(v, square, torch.expm1(t * LOG2)).mul_(_kept(t, s / 2 + 0.5))
    root.add_(square).clamp_(min=0).sqrt_().add_(EPS)  # √V
    tail, _ = _tail(t, s, kept1)
    moved = torch.addcmul(m, pull, torch.expm1(t * LOG1)).mul_(tail * rate).div_(root)
    m.lerp_(pull, 1 - kept1)
    w.sub_(moved).mul_(torch.exp_((s * (-rate * decay)) / root))
    after = w * decay
    # share of an even move of ℓ that the first moment has followed
    lag = BETA1 / (1 - BETA1) * (1 - s * kept1 / BETA1 + (s - 1) * kept1)
    m.addcmul_(after - pull, ((s - 1) * (1 - kept1) - lag) / s)
    square.addcmul_(pull, after).addcmul_(after, after)
    v.lerp_(square.div_(3), 1 - kept2)


def _tail(t: Tensor, s: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Σ_j β1^j over s steps from step t, corrected for bias, and the mean of j in it."""
    age = 1 / (1 - BETA1) - s * kept / (1 - kept)
    return BETA1 / (1 - BETA1) * (1 - kept) / -torch.expm1((t + age) * LOG1), age


def _kept(t: Tensor, steps: Tensor) -> Tensor:
    """β2^steps, corrected for the bias that is left at step t + steps."""
    return torch.exp(steps * LOG2) / -torch.expm1((t + steps) * LOG2)
