"""What was measured? The record of one run, as written to `record.json` and shown in the report."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from etalage.recipe.config import Config


class Measure(Config):
    """A number with its 95 % interval; `low` and `high` are None where none was computed."""

    value: float
    low: float | None = None
    high: float | None = None


class ModelRow(Config):
    """One line of the models table; a measure that does not apply is absent, never 0."""

    name: str
    kind: str
    role: str = "model"
    """'model', 'baseline' or 'bound' (the best possible, known for simulated data only)."""
    quality: dict[str, Measure] = Field(default_factory=dict)
    """'ndcg@10', 'recall@10', 'mrr@10', 'coverage@10', 'auc', 'log_loss', 'ece' ..."""
    latency_ms: dict[str, float] = Field(default_factory=dict)
    """'p50', 'p90', 'p99', 'cpu' per request and 'per_second'; of the row that is served from the
    bundle in a process of its own, with its 'peak_mb', of others from the fitted model."""
    train_seconds: float | None = None
    train_cpu_seconds: float | None = None
    n_parameters: int | None = None
    seeds: list[int] = Field(default_factory=list)
    note: str = ""


class ReliabilityBin(Config):
    """Clicks among impressions of like probability; the band is 95 %, pointwise."""

    predicted: float
    observed: float
    low: float
    high: float
    count: int


class CalibrationRecord(Config):
    """How far the probabilities can be believed, before and after calibration."""

    method: str
    before: list[ReliabilityBin]
    after: list[ReliabilityBin]
    metrics: dict[str, dict[str, float]]
    """'before' and 'after' -> 'ece', 'ece_floor', 'log_loss', 'brier', 'pcoc' ..."""


class ItemCard(Config):
    """One item as a visitor sees it, with its semantic id."""

    id: str
    title: str
    category: str = ""
    codes: list[int] = Field(default_factory=list)


class TokenRecord(Config):
    """How items are spelled."""

    quantizer: str
    depth: int
    width: int
    health: dict[str, Any]
    """The tokenizer's health report: usage, perplexity, collisions, neighbour overlap."""
    examples: list[list[ItemCard]] = Field(default_factory=list)
    """Groups of items that share a prefix."""


class FactorRecord(Config):
    """A latent factor: what some items have in common."""

    model: str
    size: int
    """Items that share it."""
    examples: list[ItemCard]
    """Most taken first."""


class VisitorRecord(Config):
    """One window for the eye: what a visitor did, what was shown, what they did next."""

    visitor: str
    history: list[ItemCard]
    shown: list[ItemCard]
    scores: list[float]
    probabilities: list[float]
    next_items: list[ItemCard] = Field(default_factory=list)


class RunRecord(Config):
    """Everything the report shows; the report computes nothing of its own."""

    name: str
    created_utc: str
    data: dict[str, Any]
    """Health, picture, split, number of questions, source and terms of the log."""
    models: list[ModelRow]
    repeats: str = "hide"
    """'hide' or 'show': whether lists may hold what a person took before."""
    tokens: TokenRecord | None = None
    factors: list[FactorRecord] = Field(default_factory=list)
    """The largest latent factors, of models that have any."""
    calibration: CalibrationRecord | None = None
    visitors: list[VisitorRecord] = Field(default_factory=list)
    comparisons: list[dict[str, Any]] = Field(default_factory=list)
    """Paired tests between models: metric, a, b, difference, low, high, p, p_holm, n."""
    curves: dict[str, list[dict[str, float]]] = Field(default_factory=dict)
    """Model name -> one row an epoch (epoch, loss, validation metric)."""
    stages: list[dict[str, Any]] = Field(default_factory=list)
    """name, seconds, summary: one a stage of the run."""
    provenance: dict[str, Any] = Field(default_factory=dict)
    """Recipe as YAML, seed, commit, versions, machine, peak memory."""
    notes: list[str] = Field(default_factory=list)
    """What a reader must know before believing a number."""
