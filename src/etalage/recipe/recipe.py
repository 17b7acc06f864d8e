"""What is a run? One YAML file, with overrides on top, that says all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from etalage.errors import RecipeError, did_you_mean
from etalage.recipe.config import Config, located


class SplitRecipe(Config):
    """How the log is cut into what to learn from, to choose by and to be judged on."""

    kind: Literal["auto", "global_time", "leave_one_out"] = "auto"
    """By moments (no one's future leaks), or the last two events of each person; auto cuts by
    moments wherever the log has a clock."""
    valid: float = Field(0.1, gt=0, lt=1)
    """Share of the interactions to choose by (global time only)."""
    test: float = Field(0.1, gt=0, lt=1)
    """Share of the interactions to be judged on (global time only)."""


class DataRecipe(Config):
    """Where the log comes from."""

    path: str | None = None
    """A file, a pattern or a folder; without one, the simulated shop opens."""
    user: str | None = None
    """Column of user ids, where its name is unusual."""
    item: str | None = None
    """Column of item ids, where its name is unusual."""
    time: str | None = None
    """Column of times, where its name is unusual; 'none' takes the order of rows."""
    value: str | None = None
    """Column of ratings, counts or the like; 'none' goes without one."""
    clicked: str | None = None
    """Column that is 1 where what was shown was clicked, else 0, where its name is unusual; 'none'
    takes every row as taken."""
    encoding: str = "utf-8"
    """Encoding of text files."""
    core: int = Field(1, ge=1)
    """Keep users and items with at least so many events (k-core)."""
    simulated: dict[str, Any] = Field(default_factory=dict)
    """Settings of the simulated shop."""
    split: SplitRecipe = SplitRecipe()


class RankingRecipe(Config):
    """How clicks are predicted among what was retrieved."""

    ranker: dict[str, Any] = Field(default_factory=lambda: {"kind": "dcn_v2"})
    """Settings of the ranker."""
    n_candidates: int = Field(100, ge=1)
    """Retrieved items that the ranker scores in a request."""
    history_length: int = Field(20, ge=1)
    """Newest history items that the ranker reads."""
    n_negatives: int = Field(4, ge=1)
    """Items drawn for each one taken, where the log does not say what was shown."""
    max_rows: int = Field(1_000_000, ge=1000)
    """Training rows at most; the newest are kept."""
    calibrate_by: tuple[str, ...] = ()
    """Fields whose values get curves of their own when logits become probabilities: `item`,
    `category`, `last_category` (of the newest item taken), or a column of what was shown that says
    where and when, such as `device`. Without any, all rows are calibrated alike."""


TRIVIAL = ("popularity", "item_knn_markov")
"""What every table shows, and every model must beat."""


class Recipe(Config):
    """A whole run: data, models, ranking, seed."""

    name: str = "run"
    """Names the folder under `runs/`."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Where all randomness comes from."""
    data: DataRecipe = DataRecipe()
    tokens: dict[str, Any] = Field(default_factory=dict)
    models: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Models by name; `kind` is the name where it is not given."""
    repeats: Literal["hide", "show"] = "hide"
    """Whether what a person already took may be shown to them again, when judged and served."""
    retriever: str | None = None
    """The model that is served: sasrec, or tiger with network: residual. Without one, models are
    compared and nothing is ranked or served."""
    ranking: RankingRecipe = RankingRecipe()
    search: dict[str, Any] = Field(default_factory=dict)
    """What `etalage tune` may change: paths of settings of one model, each with the values to
    choose from, `[a, b]`, or a range, `{low: a, high: b, log: true}`."""

    def to_yaml(self) -> str:
        """The recipe as a file that `load` reads back to the same."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)


def load(path: Path, overrides: list[str] | None = None) -> Recipe:
    """Reads a recipe file and lays overrides (`models.sasrec.width=128`) over it.

    Raises:
        RecipeError: for a file that is missing or is no YAML, a key that does not exist (with
            the nearest that does), or a value of the wrong type.
    """
    return resolve(read(path), overrides)


def read(path: Path) -> dict[str, Any]:
    """Reads the plain values of a recipe file; RecipeError where it is missing or is no YAML."""
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"there is no recipe {path}; recipes are YAML files") from None
    except OSError as error:
        raise RecipeError(
            f"cannot read {path} ({error.strerror}); give the YAML file of a recipe, such as the "
            "recipe.yaml in the folder of a run"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is no YAML: {error}") from error
    if tree is None:
        raise RecipeError(f"{path} is empty; `etalage demo` leaves a recipe.yaml to start from")
    if not isinstance(tree, dict):
        raise RecipeError(f"{path} holds {type(tree).__name__}; expected keys and values")
    return tree


def resolve(tree: dict[str, Any], overrides: list[str] | None = None) -> Recipe:
    """Builds a recipe from plain values, overrides last; trivial models join any others."""
    for change in overrides or []:
        override(tree, change)
    models = tree.get("models") or {}
    if isinstance(models, dict):
        named = {
            name: {"kind": name} | (block or {}) if isinstance(block, dict | None) else block
            for name, block in models.items()
        }
        kinds = [block["kind"] for block in named.values() if isinstance(block, dict)]
        trivial = {kind: {"kind": kind} for kind in TRIVIAL if kind not in kinds}
        tree["models"] = trivial | named
    return checked(Recipe, tree, "")


def override(tree: dict[str, Any], change: str) -> None:
    """Sets one value, `path.to.key=value`, in place; the value is read as YAML.

    >>> tree = {"models": {"sasrec": {"width": 64}}}
    >>> override(tree, "models.sasrec.width=128")
    >>> tree
    {'models': {'sasrec': {'width': 128}}}
    """
    path, equals, text = change.partition("=")
    if not equals or not path.strip():
        raise RecipeError(f"cannot read the override {change!r}; write it as path.to.key=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"cannot read the value in the override {change!r}: {error}") from error
    put(tree, path.strip(), value)


def put(tree: dict[str, Any], path: str, value: Any) -> None:
    """Sets the value at a dotted path in place; blocks on the way are made."""
    *outer, last = path.split(".")
    block = tree
    for key in outer:
        inner = block.setdefault(key, {})
        if inner is None:
            inner = block[key] = {}
        if not isinstance(inner, dict):
            raise RecipeError(f"cannot set {path}: {key!r} is a value, not a block of settings")
        block = inner
    block[last] = value


def checked(kind: type[Config], tree: dict[str, Any], where: str) -> Any:
    """Validates plain values as settings; RecipeError names each fault and near misses."""
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise RecipeError(_explain(error, kind, where)) from error


def _explain(error: ValidationError, kind: type[Config], where: str) -> str:
    """One line a fault: its path, what is wrong, and the nearest known key."""
    lines = []
    for fault in error.errors():
        place, _ = located(kind, fault["loc"])
        path = ".".join(map(str, [where, *place] if where else place))
        if fault["type"] == "extra_forbidden":
            _, block = located(kind, fault["loc"][:-1])
            known = [] if block is None else list(block.model_fields)
            hint = did_you_mean(str(place[-1]), known) or f"; known: {', '.join(known)}"
            lines.append(f"{path}: unknown key{hint}")
        else:
            text = fault["msg"].removeprefix("Value error, ")
            # what is wrong with a block as a whole names its values itself
            given = "" if fault["type"] == "value_error" else f"; got {fault['input']!r}"
            lines.append(f"{path}: {text}{given}")
    return "\n".join(lines)
