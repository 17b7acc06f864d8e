"""One client of the shared bundle; questions change nothing in it."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from tests.conftest import Exported

from etalage.serve.runtime.app import create_app


@pytest.fixture(scope="module")
def client(exported: Exported) -> Iterator[TestClient]:
    with TestClient(create_app(exported.folder)) as client:
        yield client
