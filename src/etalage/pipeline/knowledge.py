"""What is asked of which language model, about which shop? One YAML file for a whole job."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from etalage.errors import RecipeError
from etalage.language.answers import Answers
from etalage.language.costs import Price, price_of
from etalage.language.knowledge import ItemRequests, UserRequests, texts_of
from etalage.language.local import LocalModel, folder_name
from etalage.language.prompts import template
from etalage.language.remote import RemoteModel
from etalage.language.request import LanguageModel, Sampling, named
from etalage.language.told import write_told
from etalage.pipeline.shop import open_shop
from etalage.recipe.config import Config
from etalage.recipe.recipe import DataRecipe, Recipe, checked, override, read


class SamplingRecipe(Config):
    """How an answer is written."""

    temperature: float = Field(0.0, ge=0)
    """0 takes the likeliest token; more lets others be drawn."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Only the likeliest tokens that make up this share are drawn from."""
    max_tokens: int = Field(300, ge=1)
    """An answer is cut after so many tokens."""
    seed: int = 0
    """Where the draws come from, in a folder's model and on servers that listen."""


class KnowledgeRecipe(Config):
    """A job of questions. Whatever changes a question or an answer, changes what is asked anew."""

    data: DataRecipe = DataRecipe()
    """The log, as in any recipe; only what comes before its first cut is told."""
    about: Literal["items", "users"] = "items"
    """What each question is about."""
    domain: str = "goods"
    """What the shop sells, and so what is asked: movies, books or goods."""
    model: str
    """The model's name on the server; without one, a folder with a model."""
    revision: str = ""
    """Its version, where the name on the server does not tell."""
    server: str | None = None
    """Address of a server that speaks OpenAI's protocol: http://127.0.0.1:8000."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the server's key."""
    may_leave: bool = False
    """Whether what people did may be sent to a server that is not this machine."""
    deadline_s: float = Field(120.0, gt=0)
    """Seconds until a call counts as lost."""
    most_at_once: int = Field(64, ge=1)
    """Calls at a time, at most; there are 8 at first, and more while all goes well."""
    sampling: SamplingRecipe = SamplingRecipe()
    as_json: bool = False
    """Ask for JSON with bounded phrases, and take nothing else."""
    answers: Path = Path("runs/answers")
    """Folder where answers are kept; jobs may share it."""
    prices: Mapping[str, Price] = Field(default_factory=dict)
    """What a host takes for a million tokens, by model: {NAME: {prompt: 0.15, completion: 0.6}},
    and batch, the share of that for batch files (0.5)."""

    @property
    def price(self) -> Price | None:
        """Of the model; None without a table."""
        return price_of(self.prices, self.model)

    @property
    def model_name(self) -> str:
        """Names what answers, as keys have it."""
        return named(self.model, self.revision) if self.server else folder_name(Path(self.model))


def load(path: Path, overrides: list[str] | None = None) -> KnowledgeRecipe:
    """Reads a recipe of questions, with overrides on top.

    Raises:
        RecipeError: as for any recipe.
    """
    tree = read(path)
    for change in overrides or []:
        override(tree, change)
    recipe: KnowledgeRecipe = checked(KnowledgeRecipe, tree, "")
    return recipe


def requests_of(recipe: KnowledgeRecipe) -> ItemRequests | UserRequests:
    """Opens the log of a recipe and returns what is asked about it.

    Raises:
        RecipeError: when there is nothing to ask.
    """
    data = open_shop(Recipe(data=recipe.data)).training_data
    kind = ItemRequests if recipe.about == "items" else UserRequests
    asking = template(recipe.about, recipe.domain)
    requests = kind(data, asking, Sampling(**recipe.sampling.to_dict()), recipe.as_json)
    if next(iter(requests), None) is None:
        raise RecipeError(
            f"the items of {data.name} have no titles, so there is nothing to ask; put a table "
            "with the columns item and title beside the log, such as items.csv"
        )
    return requests


def model_of(recipe: KnowledgeRecipe) -> LanguageModel:
    """Opens the model of a recipe: on its server, or in a folder."""
    if recipe.server is None:
        return LocalModel(recipe.model)
    return RemoteModel(
        recipe.server,
        recipe.model,
        recipe.revision,
        api_key_env=recipe.api_key_env,
        deadline_s=recipe.deadline_s,
        most_at_once=recipe.most_at_once,
        may_leave=recipe.may_leave,
    )


def write_texts(recipe: KnowledgeRecipe, answers: Answers, path: Path) -> tuple[int, int]:
    """Writes what `told.py` reads, and returns how many texts, and how many of them are answers;
    the others are what the shop says itself."""
    requests = requests_of(recipe)
    texts, is_answer = texts_of(requests, recipe.model_name, answers)
    lines = zip(requests.ids, texts, is_answer.tolist(), strict=True)
    write_told(path, recipe.about, recipe.model_name, requests.log, lines)
    return len(texts), int(is_answer.sum())
