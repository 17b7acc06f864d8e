"""Claims about calibrators on scores of real logs: two rankers of our own, and forecasts.

A factorization machine is trained on MovieLens-1M and on Frappe; its validation rows fit the
calibrators and its test rows judge them. Forecasts are those of FiveThirtyEight: the first half of
each competition's seasons fits, the others judge; forecasts of 0 and 1 are left out. Scores of a
ranker are kept in `runs/calibration_real`.

    python benchmarks/calibration_real.py [forecasts movielens-1m frappe]
"""

import argparse
import os
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from calibration_methods import NETWORKS, PLAIN
from claims import record
from etalage.artefact import sha256_of
from etalage.calibrate.calibrator import log_odds, sigmoid
from etalage.calibrate.field_measures import field_measures
from etalage.calibrate.measures import measures
from etalage.models.registry import build
from etalage.pipeline.ctr import ClickJob, hash_of
from etalage.pipeline.monitors import click_metrics
from etalage.pipeline.reproduce.ctr import loader
from etalage.pipeline.reproduce.published import click_table
from etalage.train.context import TrainContext

HERE = Path(__file__).parents[1]
DATA = Path(os.environ.setdefault("ETALAGE_DATA", str(HERE / "../shared/data")))
KEPT = HERE / "runs" / "calibration_real"
FIELDS = {
    "movielens-1m": ("user", "genre", "release_decade"),
    "frappe": ("user", "item", "country"),
}
OUTCOMES = {
    "mlb_games": ("prob1",),
    "nba_games": ("prob1",),
    "march_madness_in_game_men": ("prob1",),
    "nfl_playoffs": ("make_playoffs", "win_division", "make_superbowl"),
    "us_senate_election_night": ("probwin",),
}


EVENT = ("season", "date", "year", "state", "district", "special", "team", "team1", "team2")
"""Columns that say what was forecast: again and again before and in a game, a season, a race."""


class Rows(NamedTuple):
    logits: NDArray[np.float64]  # (n,)
    clicks: NDArray[np.int8]  # (n,)
    context: NDArray[np.int64]  # (n, fields); the first is the one that errors are counted by
    clusters: NDArray[np.int64]  # (n,); rows of different ones are independent


def ranked(log: str) -> tuple[Rows, Rows, str]:
    """Scores of a factorization machine on the validation and the test rows of a log."""
    (row,) = (row for row in click_table(log).rows if row.name == "FM")
    tables = loader(log)(row.data)
    data_hash = hash_of(tables)
    settings = ClickJob.of(row.ranker, 0, data_hash).key["settings_hash"]
    path = KEPT / f"{log}-{data_hash}-{settings}.npz"
    if not path.exists():
        ranker = build(row.ranker, "ranker")
        monitor = lambda judged: click_metrics(judged, tables.valid)  # noqa: E731
        ranker.fit(tables.train, TrainContext(seed=0, monitor=monitor))
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, valid=ranker.score(tables.valid), test=ranker.score(tables.test))
    scores = np.load(path)
    parts = []
    for name, table in (("valid", tables.valid), ("test", tables.test)):
        columns = dict(zip(table.sizes, table.categories.T, strict=True))
        if table.bags is not None:
            columns["genre"] = table.bags[:, 0]
        context = np.column_stack([columns[field] for field in FIELDS[log]]).astype(np.int64)
        parts.append(Rows(scores[name].astype(np.float64), table.clicks, context, context[:, 0]))
    return parts[0], parts[1], data_hash


def forecasts() -> tuple[Rows, Rows, str]:
    """Forecasts and what happened, by competition; earlier seasons fit, later ones judge."""
    folder, parts = DATA / "calibration" / "fivethirtyeight", ([], [])
    code, n_games = 0, 0
    for name, columns in OUTCOMES.items():
        frame = pl.read_csv(folder / f"{name}.csv.gz", infer_schema_length=None)
        season = frame["season" if "season" in frame.columns else "year"].to_numpy()
        cut = np.median(np.unique(season))
        what = [each for each in EVENT if each in frame.columns]
        games = n_games + frame.select(pl.concat_str(what, separator="|", ignore_nulls=True).rank(
            "dense")).to_series().to_numpy().astype(np.int64)  # fmt: skip
        n_games += int(games.max())
        for column in columns:
            p = frame[column].cast(pl.Float64).to_numpy()
            y = frame[f"{column}_outcome"].cast(pl.Float64).to_numpy()
            right = (p > 0) & (p < 1) & np.isin(y, (0, 1))
            for part, inside in zip(parts, (season < cut, season >= cut), strict=True):
                rows = right & inside
                codes = np.full((rows.sum(), 1), code)
                part.append((log_odds(p[rows]), y[rows].astype(np.int8), codes, games[rows]))
            code += 1
    seen, unseen = (Rows(*(np.concatenate(c) for c in zip(*p, strict=True))) for p in parts)
    return seen, unseen, sha256_of(*sorted(folder.iterdir()))[:16]


def losses(logits: NDArray[np.float64], clicks: NDArray[np.int8]) -> NDArray[np.float64]:
    """Log-loss of each row."""
    return np.logaddexp(0, logits) - clicks * logits


def spread(gaps: NDArray[np.float64], clusters: NDArray[np.int64]) -> float:
    """Standard error of the mean of gaps (n,), whose clusters are independent, (n,)."""
    _, codes = np.unique(clusters, return_inverse=True)
    return float(np.sqrt((np.bincount(codes, gaps - gaps.mean()) ** 2).sum()) / len(gaps))


def main() -> None:
    logs = ("forecasts", *FIELDS)
    parser = argparse.ArgumentParser()
    parser.add_argument("logs", nargs="*", default=logs)
    for log in parser.parse_args().logs:
        began = time.perf_counter()
        seen, unseen, data_hash = forecasts() if log == "forecasts" else ranked(log)
        head = ("log-loss", "ECE x1e3", "by chance", "F-RCE", "by chance", "PCOC", "CPU-s")
        title = f"{log}: {len(seen.logits):,} to fit, {len(unseen.logits):,} to judge"
        print(f"\n| {title} | {' | '.join(head)} |\n|---|{'---|' * len(head)}")
        found: dict[str, NDArray[np.float64]] = {}
        for name, method in {"raw": None, **PLAIN, **NETWORKS}.items():
            started, z = time.process_time(), unseen.logits
            if method is not None:
                fitted = method().fit(seen.logits, seen.clicks, seen.context)
                seconds = time.process_time() - started
                z = fitted.logit(unseen.logits, unseen.context)
            else:
                seconds = 0.0
            p = sigmoid(z)
            all_rows = measures(p, unseen.clicks)
            by_value = field_measures(p, unseen.clicks, unseen.context[:, 0])
            found[name] = losses(z, unseen.clicks)
            cells = (
                f"{found[name].mean():.4f}",
                *(f"{1e3 * all_rows[each]:.2f}" for each in ("ece", "ece_floor")),
                *(f"{by_value[each]:.3f}" for each in ("f_rce", "f_rce_floor")),
                f"{all_rows['pcoc']:.3f}",
                f"{seconds:.2f}",
            )
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
            for measure, value in (
                ("log-loss", float(found[name].mean())),
                ("ECE", all_rows["ece"]),
                ("F-RCE excess", by_value["f_rce_excess"]),
            ):
                record("calibration", f"{measure} of {name} on {log}", value, "", ">=0",
                       data_hash=data_hash, seconds=time.perf_counter() - began)  # fmt: skip
        by_value = ("fields", "mcnet", *NETWORKS)
        alike = {name: rows for name, rows in found.items() if not name.startswith(by_value)}
        for name, others, kind in (
            ("fields", alike, "best map of all rows"),
            ("mcnet, context", found, "best of all"),
        ):
            best = min(others, key=lambda each: others[each].mean())
            gap = found[name] - others[best]
            error = spread(gap, unseen.clusters)
            print(f"{name} against {best}, the {kind}: log-loss {gap.mean():+.5f} ± "
                  f"{1.96 * error:.5f}")  # fmt: skip
            record("calibration", f"standard errors by which {name} is worse than the {kind} on "
                   f"{log}", float(gap.mean() / error) if error else 0.0, "", "<=1.96", peer=best,
                   data_hash=data_hash, seconds=time.perf_counter() - began)  # fmt: skip


if __name__ == "__main__":
    main()
