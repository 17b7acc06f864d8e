"""A new bundle is taken up while the server answers, or refused."""

import asyncio
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient
from tests.conftest import Exported
from typer.testing import CliRunner

from etalage.cli.main import app
from etalage.errors import BundleError
from etalage.pipeline.export import Served, export_bundle
from etalage.pipeline.scores import ScoreCalibrator
from etalage.serve.bundle import read_manifest
from etalage.serve.runtime.app import create_app
from etalage.serve.runtime.engine import Engine
from etalage.serve.runtime.live import Live


def version(client: TestClient) -> str:
    return client.get("/healthz").json()["model_version"]


def wait_until(true: Any) -> None:
    for _ in range(100):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("nothing happened in 5 seconds")


def test_a_new_bundle_is_taken_up_and_a_broken_one_is_not(
    exported: Exported, bundle: Path, tmp_path: Path
) -> None:
    with TestClient(create_app(bundle, poll_seconds=0.05)) as client:
        first = version(client)
        served = Served(exported.served.retriever, exported.served.ids)
        export_bundle(bundle, exported.shop.data, served, exported.recipe)
        wait_until(lambda: version(client) != first)
        second = version(client)
        broken = shutil.copytree(exported.folder, tmp_path / "broken")
        (broken / "encoder.onnx").write_bytes(b"no network")
        shutil.rmtree(bundle)
        os.rename(broken, bundle)
        wait_until(lambda: client.get("/healthz").json()["status"] == "old bundle")
        assert version(client) == second
        assert "encoder.onnx" in client.get("/healthz").json()["problem"]
        assert client.post("/recommend", json={"history": ["item-00003"]}).status_code == 200
        assert "etalage_refused_bundles_total 1" in client.get("/metrics").text
        shutil.rmtree(bundle)
        shutil.copytree(exported.folder, bundle)
        wait_until(lambda: client.get("/healthz").json()["status"] == "ok")
        assert version(client) == first


def test_a_calibrator_is_installed_while_the_server_answers(bundle: Path, tmp_path: Path) -> None:
    """Scores are asked of `/score`, fitted to what came of them, and served without a restart."""
    history = ["item-00003", "item-00050"]
    items = [f"item-{i:05d}" for i in range(120)]
    fields = {"history": history, "items": items}

    def score(device: str) -> dict[str, Any]:
        return client.post("/score", json=fields | {"context": {"device": device}}).json()

    def calibrate(*words: object) -> str:
        done = CliRunner().invoke(app, ["calibrate", *map(str, words)])
        assert done.exit_code == 0, done.output
        return done.output

    with TestClient(create_app(bundle, poll_seconds=0.05)) as client:
        first, before = version(client), score("phone")["probabilities"]
        with (tmp_path / "week.csv").open("w") as log:
            log.write("logit,clicked,device\n")
            for device, n_clicks in (("phone", 90), ("desktop", 12)):  # of 120
                for n, logit in enumerate(score(device)["logits"]):
                    log.write(f"{logit!r},{int(7 * n % 120 < n_clicks)},{device}\n")
        new = tmp_path / "week.json"
        calibrate("fit", tmp_path / "week.csv", new, "--score", "logit", "--logits",
                  "--label", "clicked", "--field", "device")  # fmt: skip
        said = calibrate("install", bundle, new)
        assert "device: the bundle knows 2 of 2 values" in said
        wait_until(lambda: version(client) != first)
        assert version(client) in said
        after = score("phone")
        fitted = ScoreCalibrator.load(new)
        frame = pl.DataFrame({"logit": after["logits"], "device": ["phone"] * 120})
        expected = fitted.probability(fitted.read(frame))
        np.testing.assert_allclose(after["probabilities"], expected, rtol=0, atol=1e-9)
        assert np.mean(after["probabilities"]) > 0.5 > np.mean(before) + 0.2
        assert np.mean(score("desktop")["probabilities"]) < 0.3
        listed = client.post("/recommend", json={"history": history, "k": 5}).json()
        assert not listed["degraded"]
        (bundle / "calibrator.json").write_bytes(b"{}")
        wait_until(lambda: client.get("/healthz").json()["status"] == "old bundle")
        assert "calibrator.json" in client.get("/healthz").json()["problem"]
        assert score("phone")["probabilities"] == after["probabilities"]


def test_a_bundle_that_is_swapped_while_read_is_read_again(
    exported: Exported, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read in between may be half of one and half of the other."""
    live = Live(bundle)
    first = live.engine

    class Swapped(Engine):
        def __init__(self, folder: Path) -> None:
            super().__init__(folder)
            os.utime(folder / "manifest.json")

    os.utime(bundle / "items.json")
    monkeypatch.setattr("etalage.serve.runtime.live.Engine", Swapped)
    asyncio.run(live.refresh())
    assert live.engine is first
    monkeypatch.undo()
    asyncio.run(live.refresh())
    assert live.engine is not first
    assert live.problem is None
    second = live.engine
    asyncio.run(live.refresh())
    assert live.engine is second


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), RuntimeError("no idea")])
def test_the_watch_outlives_any_error_and_looks_again(
    exported: Exported,
    bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    """A disk that fails for a moment must not end hot reload, nor condemn a sound bundle."""
    with TestClient(create_app(bundle, poll_seconds=0.05)) as client:
        first = version(client)

        def broken(path: Path) -> str:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr("etalage.serve.bundle.sha256_of", broken)
            draft = bundle.parent / "draft"
            shutil.copytree(bundle, draft)
            shutil.rmtree(bundle)
            os.rename(draft, bundle)
            wait_until(lambda: client.get("/healthz").json()["status"] == "old bundle")
            assert str(error) in client.get("/healthz").json()["problem"]
            assert client.post("/recommend", json={"history": ["item-00003"]}).status_code == 200
            time.sleep(0.3)  # some more looks, which find the same
            assert client.get("/healthz").json()["status"] == "old bundle"
        assert caplog.text.count("the new bundle is refused") == 1
        wait_until(lambda: client.get("/healthz").json()["status"] == "ok")
        served = Served(exported.served.retriever, exported.served.ids)
        export_bundle(bundle, exported.shop.data, served, exported.recipe)
        wait_until(lambda: version(client) != first)


def test_a_file_that_cannot_be_read_is_a_broken_bundle(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("etalage.serve.bundle.sha256_of", broken)
    with pytest.raises(BundleError, match=r"cannot be read .*Permission denied.*etalage export"):
        read_manifest(bundle)
