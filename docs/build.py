"""Writes `settings.md` from the code and checks every link between the pages."""

import re
import sys
from pathlib import Path

from etalage.data.simulated import SimulatedConfig
from etalage.memory.simulate import SimulatorConfig
from etalage.models.generative.spelling import SpellingConfig
from etalage.models.registry import MODELS, RANKERS, model_type
from etalage.pipeline.knowledge import KnowledgeRecipe, SamplingRecipe
from etalage.recipe.config import Config
from etalage.recipe.recipe import DataRecipe, RankingRecipe, Recipe, SplitRecipe
from etalage.train.config import TrainingConfig

DOCS = Path(__file__).parent
RECIPES = {
    "the recipe": Recipe,
    "data": DataRecipe,
    "data.split": SplitRecipe,
    "data.simulated": SimulatedConfig,
    "tokens": SpellingConfig,
    "ranking": RankingRecipe,
    "training (of any model with a network)": TrainingConfig,
    "knowledge (of `etalage knowledge`)": KnowledgeRecipe,
    "knowledge sampling": SamplingRecipe,
    "the simulator of memories": SimulatorConfig,
}


def settings() -> str:
    """Every setting with its default and meaning, as Markdown."""
    parts = ["# Settings\n\nWritten from the code by `make docs`.\n"]
    blocks: dict[str, type[Config]] = dict(RECIPES)
    blocks |= {f"model {kind}": model_type(kind).config_type for kind in [*MODELS, *RANKERS]}
    for name, block in blocks.items():
        parts.append(f"\n## {name}\n\n| setting | default | meaning |\n|---|---|---|\n")
        for key, field in block.model_fields.items():
            default = (
                "" if field.is_required() else _short(field.get_default(call_default_factory=True))
            )
            meaning = " ".join((field.description or "").split()).replace("|", "\\|")
            parts.append(f"| `{key}` | {default} | {meaning} |\n")
    return "".join(parts)


def _short(value: object) -> str:
    if isinstance(value, Config):
        changed = value.model_dump(exclude_defaults=True)
        return ", ".join(f"{k}={v}" for k, v in changed.items()) or "see its block"
    return f"`{value}`".replace("|", "\\|")


def broken_links() -> list[str]:
    """Links to files that are not there."""
    pages = [*DOCS.rglob("*.md"), DOCS.parent / "README.md", DOCS.parent / "CONTRIBUTING.md"]
    return [
        f"{page.name}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]


if __name__ == "__main__":
    (DOCS / "settings.md").write_text(settings(), encoding="utf-8")
    broken = broken_links()
    for link in broken:
        sys.stderr.write(f"broken link in {link}\n")
    sys.exit(bool(broken))
