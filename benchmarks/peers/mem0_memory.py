"""A memory kept by mem0, with the embedder of this library and without a language model.

It lives in an environment of its own:

    python -m venv benchmarks/peers/.venv-mem0
    benchmarks/peers/.venv-mem0/bin/pip install mem0ai==2.2.1

Speaks the lines of etalage.memory.benchmark.outside: a folder for its files is its last word. What
is said is kept as it is (`infer=False`), in mem0's own default store, Qdrant on the local disk. The
store's keyword search needs a model that is downloaded, and is off where that is not there.
"""

import json
import logging
import os
import sys
import time
from pathlib import Path

os.environ["MEM0_TELEMETRY"] = "False"
FOLDER = Path(sys.argv[-1])
os.environ["MEM0_DIR"] = str(FOLDER)
os.environ["OPENAI_API_KEY"] = "none"  # the classes want one; nothing is asked of a server
OUT = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)  # what mem0 prints is no answer
logging.disable(logging.ERROR)

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))
from mem0 import Memory  # noqa: E402

from etalage.language.ngrams import NgramEncoder  # noqa: E402


class Embedder:
    """The encoder of this library, as mem0 asks for it."""

    def __init__(self) -> None:
        self.encoder = NgramEncoder()

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        return [float(x) for x in self.encoder.encode([text])[0]]

    def embed_batch(self, texts: list[str], memory_action: str = "add") -> list[list[float]]:
        return [self.embed(text) for text in texts]


def main() -> None:
    embedder = Embedder()
    store = {"path": str(FOLDER / "qdrant"), "on_disk": True, "collection_name": "memories",
             "embedding_model_dims": embedder.encoder.width}  # fmt: skip
    memory = Memory.from_config(
        {
            "vector_store": {"provider": "qdrant", "config": store},
            "history_db_path": str(FOLDER / "history.db"),
        }
    )
    memory.embedding_model = embedder
    names: dict[str, str] = {}  # ours, by mem0's
    for line in sys.stdin:
        asked = json.loads(line)
        user, answer = asked["user"], {}
        if asked["do"] == "write":
            for said in asked["messages"]:
                turn = {"role": said["speaker"], "content": said["text"]}
                for made in memory.add([turn], user_id=user, infer=False)["results"]:
                    names[made["id"]] = said["id"]
        elif asked["do"] == "read":
            found = memory.search(
                asked["question"], top_k=asked["k"], filters={"user_id": user}, threshold=0.0
            )
            answer["ids"] = [names[hit["id"]] for hit in found["results"]]
        else:
            gone = set(asked["ids"])
            for made, name in list(names.items()):
                if name in gone:
                    memory.delete(made)
                    del names[made]
        OUT.write(json.dumps(answer | {"cpu_s": time.process_time()}) + "\n")
        OUT.flush()


if __name__ == "__main__":
    main()
