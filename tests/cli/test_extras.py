"""A part that is not installed is named with how to install it, wherever it is missed."""

import subprocess
import sys

import pytest

from etalage.errors import EXTRAS, missing_extra

WITHOUT = """
import sys
from etalage.errors import MissingExtraError

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Without())
from etalage.models.registry import model_type

try:
    model_type(sys.argv[2])
except MissingExtraError as error:
    print("model_type:", error.package, error.extra)

from etalage.cli.main import app

app(sys.argv[3:])
"""
MISSED_BY = {
    "torch": "sasrec",
    "safetensors": "tiger",
    "scipy": "item_knn",
    "onnx": "dcn_v2",
    "onnxscript": "sasrec",
}


def without(package: str, kind: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT, package, kind, *words]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("package", EXTRAS["train"])
def test_the_demo_names_the_part_that_is_missing(package: str, tmp_path) -> None:
    done = without(package, MISSED_BY[package], "demo", "--out", str(tmp_path / "run"))
    assert f"model_type: {package} train" in done.stdout
    assert done.returncode == 1
    assert f"this needs '{package}'" in done.stderr
    assert "pip install 'etalage[train]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_tokenize_without_scipy_names_it(tmp_path) -> None:
    (tmp_path / "log.csv").write_text(
        "user,item,time\n"
        + "".join(f"u{n % 9},i{n % 7},{1_700_000_000 + 60 * n}\n" for n in range(200))
    )
    done = without("scipy", "item_knn", "tokenize", str(tmp_path / "log.csv"))
    assert done.returncode == 1
    assert "this needs 'scipy'" in done.stderr
    assert "Traceback" not in done.stderr


def test_tune_without_optuna_names_it(tmp_path) -> None:
    done = without("optuna", "popularity", "tune", str(tmp_path / "recipe.yaml"))
    assert done.returncode == 1
    assert "this needs 'optuna'" in done.stderr
    assert "pip install 'etalage[tune]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_module_of_no_extra_is_a_bug_and_stays_one() -> None:
    assert missing_extra(ModuleNotFoundError(name="etalage.nowhere")) is None
    assert missing_extra(ModuleNotFoundError()) is None
