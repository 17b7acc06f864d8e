"""A folder of creatives, painted by hand."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image, ImageDraw

from etalage.artefact import sha256_of


def written(
    folder: Path, *items: str | None, words: str | None = None, content: bytes | None = None
) -> Path:
    """Writes a picture of a red square for each item, as `creative_folder.save` would."""
    folder.mkdir(parents=True)
    files, told = {}, []
    for n, item in enumerate(items):
        name = f"{n:064x}.png"
        if content is None:
            image = Image.new("RGB", (800, 600), (235, 230, 220))
            draw = ImageDraw.Draw(image)
            draw.rectangle((200 + n, 100, 600, 500), fill=(200, 40, 40))
            image.save(folder / name)
        else:
            (folder / name).write_bytes(content)
        files[name] = sha256_of(folder / name)
        told.append(
            {"item": item, "picture": name, "words": words or f"a red mug of {item}",
             "scores": [["red", "mug", 0.9]]}
        )  # fmt: skip
    facts = {"etalage_creatives": 1, "files": files, "creatives": told}
    (folder / "creatives.json").write_text(json.dumps(facts))
    return folder
