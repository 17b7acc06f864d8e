"""One tiny language model for all tests, and a server a test."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.language.server import Server, serving


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model in a folder; skips where what it needs is not installed."""
    pytest.importorskip("torch", reason="needs torch: pip install 'etalage[train]'")
    pytest.importorskip("transformers", reason="needs transformers: pip install 'etalage[llm]'")
    from tests.language.tiny import tiny_model

    from etalage.language.local import LocalModel

    return LocalModel(tiny_model(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture
def server(tiny: Any) -> Iterator[Server]:
    with serving(tiny) as server:
        yield server
