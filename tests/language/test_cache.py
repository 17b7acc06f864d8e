"""Every text is read once, killed runs go on, and nothing kept ever changes an answer."""

import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.errors import CapacityError, DataError
from etalage.language import cache
from etalage.language.cache import CachedEncoder, cache_folder


class Digests:
    """A text's vector is its digest; counts what it was asked."""

    width = 8

    def __init__(self, fingerprint: str = "digests 1") -> None:
        self.fingerprint = fingerprint
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        rows = [sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        return np.frombuffer(b"".join(rows), "<u4").astype(np.float32).reshape(-1, 8)


def texts_of(*numbers: int) -> list[str]:
    return [f"text {number}" for number in numbers]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "SHARD", 10)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.text(max_size=3) | st.just("half \ud83c"), max_size=30), max_size=5))
def test_answers_are_the_encoders_and_a_text_is_read_once(
    tmp_path_factory: pytest.TempPathFactory, calls: list[list[str]]
) -> None:
    encoder = Digests()
    cached = CachedEncoder(encoder, tmp_path_factory.mktemp("kept"))
    for texts in calls:
        assert cached.encode(texts).tobytes() == Digests().encode(texts).tobytes()
        assert cached.encode(texts).shape == (len(texts), 8)
    asked = {text for texts in calls for text in texts}
    assert sorted(encoder.asked) == sorted(asked)


def test_a_new_run_reads_what_an_old_one_kept(tmp_path: Path) -> None:
    texts = texts_of(*range(35))
    first = CachedEncoder(Digests(), tmp_path).encode(texts)
    again = Digests()
    cached = CachedEncoder(again, tmp_path)
    assert cached.encode(texts[::-1])[::-1].tobytes() == first.tobytes()
    assert again.asked == []
    assert len(list(cached.folder.iterdir())) == 4
    assert cached.fingerprint == "digests 1"


def test_another_encoder_has_vectors_of_its_own(tmp_path: Path) -> None:
    CachedEncoder(Digests(), tmp_path).encode(["mug"])
    other = Digests("digests 2")
    CachedEncoder(other, tmp_path).encode(["mug"])
    assert other.asked == ["mug"]


RUN = """
import os, signal, sys
from pathlib import Path
from etalage.language import cache
from tests.language.test_cache import Digests, texts_of
cache.SHARD = 10
folder, first, last, die_at = Path(sys.argv[1]), *map(int, sys.argv[2:])

class Mortal(Digests):
    def encode(self, texts):
        if len(self.asked) >= die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(texts)

found = cache.CachedEncoder(Mortal(), folder).encode(texts_of(*range(first, last)))
assert found.tobytes() == Digests().encode(texts_of(*range(first, last))).tobytes()
"""


def run(folder: Path, *numbers: int) -> subprocess.Popen[bytes]:
    root = Path(__file__).parents[2]
    words = [sys.executable, "-c", RUN, str(folder), *map(str, numbers)]
    return subprocess.Popen(words, cwd=root, stderr=subprocess.PIPE)


def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    killed = run(tmp_path, 0, 95, 40)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    encoder = Digests()
    texts = texts_of(*range(95))
    assert CachedEncoder(encoder, tmp_path).encode(texts).tobytes() == (
        Digests().encode(texts).tobytes()
    )
    assert len(encoder.asked) == 95 - 40


def test_runs_at_once_leave_whole_shards(tmp_path: Path) -> None:
    runs = [run(tmp_path, start, start + 300, 10_000) for start in (0, 0, 150, 150)]
    for one in runs:
        _, said = one.communicate()
        assert one.returncode == 0, said.decode()
    encoder = Digests()
    CachedEncoder(encoder, tmp_path).encode(texts_of(*range(450)))
    assert encoder.asked == []
    assert all(path.suffix == ".npz" for path in tmp_path.rglob("*.*"))


def damaged_everywhere() -> list[int]:
    return [0, 10, 30, 60, 100, 150, 200, 400, 500, 600, 700, 800, 900, 950, 1000, -30, -20, -5]


@pytest.mark.parametrize("at", damaged_everywhere())
def test_a_damaged_shard_is_named_and_made_again(tmp_path: Path, at: int) -> None:
    texts = texts_of(*range(20))
    right = CachedEncoder(Digests(), tmp_path).encode(texts)
    shard = sorted(tmp_path.rglob("*.npz"))[0]
    for flip in (1, 0x80):
        content = bytearray(shard.read_bytes())
        content[at] ^= flip
        shard.write_bytes(content)
        encoder = Digests()
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            assert CachedEncoder(encoder, tmp_path).encode(texts).tobytes() == right.tobytes()
        # a byte that says nothing, as a date does, may go unnoticed
        assert len(encoder.asked) == 10 * sum(one.category is UserWarning for one in seen)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_a_shard_cut_short_is_named(tmp_path: Path, content: bytes) -> None:
    texts = texts_of(*range(20))
    right = CachedEncoder(Digests(), tmp_path).encode(texts)
    shard = sorted(tmp_path.rglob("*.npz"))[0]
    shard.write_bytes(content or shard.read_bytes()[:600])
    encoder = Digests()
    with pytest.warns(UserWarning, match=f"{shard.name} is damaged and was removed"):
        assert CachedEncoder(encoder, tmp_path).encode(texts).tobytes() == right.tobytes()
    assert len(encoder.asked) == 10
    encoder = Digests()
    CachedEncoder(encoder, tmp_path).encode(texts)
    assert encoder.asked == []


def test_vectors_of_another_width_are_made_again(tmp_path: Path) -> None:
    cached = CachedEncoder(Digests(), tmp_path)
    cached.encode(["mug"])
    shard = next(cached.folder.iterdir())
    with np.load(shard) as kept:
        arrays = dict(kept)
    np.savez(shard, keys=arrays["keys"], vectors=arrays["vectors"][:, :5])
    with pytest.warns(UserWarning, match="damaged"):
        assert cached.encode(["mug"]).tobytes() == Digests().encode(["mug"]).tobytes()


def test_a_bar_is_shown_on_stderr_and_only_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    CachedEncoder(Digests(), tmp_path).encode(["mug"])
    assert capsys.readouterr() == ("", "")
    CachedEncoder(Digests(), tmp_path, progress=True).encode(["cup"])
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Encoding texts" in shown.err
    CachedEncoder(Digests(), tmp_path, progress=True).encode(["cup"])
    assert capsys.readouterr() == ("", "")


def test_the_folder_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETALAGE_CACHE", "/somewhere")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.delenv("ETALAGE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/etalage")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == Path.home() / ".cache/etalage"


def test_bad_input_is_named_and_keeps_nothing(tmp_path: Path) -> None:
    class Broken(Digests):
        def encode(self, texts: Sequence[str]) -> np.ndarray:
            return super().encode(texts) * np.float32(np.nan)

    with pytest.raises(DataError, match="all finite"):
        CachedEncoder(Broken(), tmp_path).encode(["mug"])
    with pytest.raises(DataError, match="text 1 is None: give ''"):
        CachedEncoder(Digests(), tmp_path).encode(["mug", None])  # type: ignore[list-item]
    assert list(tmp_path.rglob("*.npz")) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(CapacityError, match="set ETALAGE_CACHE to a folder"):
        CachedEncoder(Digests(), tmp_path / "file").encode(["mug"])
    assert os.listdir(tmp_path / "texts") != []
