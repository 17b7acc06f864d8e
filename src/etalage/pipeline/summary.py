"""What is left of a run? The record: data, ids, visitors and provenance beside the figures."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from etalage.bench.record import FactorRecord, ItemCard, RunRecord, TokenRecord, VisitorRecord
from etalage.data.picture import picture
from etalage.models.recommender import Recommender
from etalage.pipeline.clicks import ClickLog
from etalage.pipeline.job import Job
from etalage.pipeline.measure import comparisons
from etalage.pipeline.ranking import Window
from etalage.pipeline.shop import Shop, Spelling, item_names
from etalage.pipeline.stages import Stages
from etalage.pipeline.timing import peak_mb
from etalage.serve.runtime.engine import Engine

MANY_HIDDEN = 0.05
"""Share of unanswerable questions from which a reader is told."""
N_GROUPS, N_IN_GROUP, N_FACTORS = 4, 4, 8
N_VISITORS, N_SHOWN = 3, 6
PACKAGES = ("numpy", "polars", "torch", "onnxruntime")


def record_of(
    job: Job,
    models: Mapping[str, Recommender],
    stages: Stages,
    shop: Shop,
    spelling: Spelling,
    window: Window | None,
    engine: Engine | None,
) -> RunRecord:
    """Puts together what the report shows."""
    cards = Cards(shop, spelling)
    return RunRecord(
        name=job.recipe.name,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        data=_data(shop),
        models=job.rows,
        repeats=job.recipe.repeats,
        tokens=_tokens(spelling, cards),
        factors=_factors(models, shop, cards),
        calibration=None if window is None else window.calibrated.record,
        visitors=[] if engine is None else _visitors(shop, engine, cards),
        comparisons=comparisons(job.reports, job.recipe.seed),
        curves=job.curves,
        stages=stages.rows,
        provenance=_provenance(job, shop),
        notes=_notes(job, shop, None if window is None else window.clicks),
    )


class Cards:
    """Items as a visitor sees them."""

    def __init__(self, shop: Shop, spelling: Spelling) -> None:
        self.ids = shop.data.items.ids
        self.titles, self.categories = item_names(shop.data)
        self.codes = spelling.ids.codes

    def of(self, items: Any) -> list[ItemCard]:
        """Cards of item indices."""
        return [
            ItemCard(
                id=str(self.ids[i]),
                title=self.titles[i] or str(self.ids[i]),
                category=self.categories[i],
                codes=self.codes[i].tolist(),
            )
            for i in np.asarray(items).tolist()
        ]


def _data(shop: Shop) -> dict[str, Any]:
    split, manifest = shop.split, shop.data.manifest
    return {
        "rows": shop.description.rows(),
        "problems": list(shop.description.problems),
        "picture": picture(shop.description),
        "split": split.kind,
        "training interactions": len(split.train),
        "validation questions": len(split.valid),
        "test questions": len(split.test),
        "source": str(manifest.get("source", "")),
        "terms": str(manifest.get("terms") or "not stated"),
    }


def _tokens(spelling: Spelling, cards: Cards) -> TokenRecord:
    """The spelling's health, and the largest families that share their first two codes."""
    prefix = spelling.ids.codes[:, : min(2, spelling.ids.n_levels)]
    _, family, sizes = np.unique(prefix, axis=0, return_inverse=True, return_counts=True)
    largest = np.argsort(-sizes, kind="stable")[:N_GROUPS]
    return TokenRecord(
        quantizer=spelling.quantizer.replace("_", " "),
        depth=spelling.ids.n_levels,
        width=max(spelling.ids.sizes),
        health=spelling.health.to_dict(),
        examples=[cards.of(np.flatnonzero(family == f)[:N_IN_GROUP]) for f in largest],
    )


def _factors(models: Mapping[str, Recommender], shop: Shop, cards: Cards) -> list[FactorRecord]:
    """The coarse factors that most items share, of each model that has any; what a finer one says
    depends on what was said before."""
    by_popularity = np.argsort(-shop.training_data.interactions.popularity(), kind="stable")
    records = []
    for name, model in models.items():
        if model.item_factors is None:
            continue
        coarse = model.item_factors[by_popularity, 0]
        factors, sizes = np.unique(coarse[coarse >= 0], return_counts=True)
        for n in np.argsort(-sizes, kind="stable")[:N_FACTORS]:
            examples = cards.of(by_popularity[coarse == factors[n]][:N_IN_GROUP])
            records.append(FactorRecord(model=name, size=int(sizes[n]), examples=examples))
    return records


def _visitors(shop: Shop, engine: Engine, cards: Cards) -> list[VisitorRecord]:
    """A few people of the test questions: those with a longer history, spread evenly."""
    test = shop.split.test
    able = np.flatnonzero(test.ends - test.starts >= min(5, int((test.ends - test.starts).max())))
    records = []
    for row in able[np.linspace(0, len(able) - 1, min(N_VISITORS, len(able))).astype(np.int64)]:
        history = test.flat[test.starts[row] : test.ends[row]]
        answer = engine.recommend(history, N_SHOWN)
        p = answer.probabilities
        records.append(
            VisitorRecord(
                visitor=str(shop.data.users.ids[test.users[row]]),
                history=cards.of(history[::-1][:N_SHOWN]),
                shown=cards.of(answer.items),
                scores=answer.scores.tolist(),
                probabilities=[] if p is None else p.tolist(),
                next_items=cards.of(test.take(slice(row, row + 1)).targets().items),
            )
        )
    return records


def _provenance(job: Job, shop: Shop) -> dict[str, Any]:
    return {
        "recipe": job.recipe.to_yaml(),
        "seed": job.recipe.seed,
        "commit": _commit(),
        "etalage": version("etalage"),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "data_hash": shop.data.hash,
        "peak_memory_mb": round(peak_mb()),
    }


def _commit() -> str:
    """The commit of a source checkout; '' for an installed package."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip()


def _notes(job: Job, shop: Shop, clicks: ClickLog | None) -> list[str]:
    notes = [f"One seed ({job.recipe.seed}): intervals are over questions, not over trainings."]
    hidden = _out_of_reach(shop) if job.hides_seen else 0.0
    if hidden > MANY_HIDDEN:
        notes.append(
            f"{100 * hidden:.0f} % of test questions ask only for what the person took before, and "
            "that is hidden here, so no model can answer them. Where people take things again, "
            "run with --set repeats=show."
        )
    if clicks is None:
        notes.append("No retriever is named, so nothing was ranked, calibrated or served.")
    elif clicks.is_drawn:
        n = job.recipe.ranking.n_negatives
        why = (
            "This log does not say what was shown"
            if shop.data.impressions is None
            else "Impressions need a split by time, and this one is not"
        )
        notes.append(
            f"{why}. The ranker learned from what people took beside {n} drawn items each, so AUC, "
            "log-loss and probabilities hold for that mixture, not for a shop window."
        )
    if shop.split.kind == "leave_one_out":
        notes.append(
            "Leave-one-out lets models learn from other people's future; compare published "
            "tables with it, and decide by a split in time."
        )
    if shop.truth is not None:
        notes.append(
            "The shop is simulated: why people click is known, and the best possible row is "
            "computed from it."
        )
    return notes


def _out_of_reach(shop: Shop) -> float:
    """Share of test questions whose every target the person took before."""
    test, n_items = shop.split.test, shop.data.n_items
    seen, targets = test.seen(), test.targets()
    taken = seen.row_of_entry * n_items + seen.items
    is_old = np.isin(targets.row_of_entry * n_items + targets.items, taken)
    n_new = np.bincount(targets.row_of_entry[~is_old], minlength=len(test))
    return float((n_new == 0).mean())
