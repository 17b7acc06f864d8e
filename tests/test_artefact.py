"""Nothing that is not ours is overwritten, and a kill leaves nothing that stays."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from etalage.artefact import HOST, Kind, first_folder, whole_file, whole_folder
from etalage.cli.main import app
from etalage.data import store
from etalage.errors import DataError
from etalage.models.baseline.popularity import Popularity
from etalage.pipeline.export import export_bundle
from etalage.serve.bundle import write_bundle
from tests.conftest import Exported
from tests.contracts.test_rankers import impressions
from tests.contracts.toys import shop

Write = Callable[[Path], object]
THING = Kind("thing", "thing.json", "etalage_thing")


def write(folder: Path, text: str = "new") -> None:
    with whole_folder(folder, THING) as draft:
        (draft / "thing.json").write_text(f'{{"etalage_thing": 1, "text": "{text}"}}')


@pytest.fixture(params=["dataset", "model", "table", "bundle", "exported bundle"])
def writer(request: pytest.FixtureRequest, exported: Exported) -> tuple[str, Write]:
    """One who writes folders, and what an error calls them."""

    def command(folder: Path) -> None:
        done = CliRunner().invoke(app, ["export", str(exported.folder.parent), str(folder)])
        if done.exit_code:
            raise DataError(re.sub(r"\s+", " ", done.output))

    model = Popularity()
    model.fit(shop())
    writers: dict[str, tuple[str, Write]] = {
        "dataset": ("stored dataset", lambda folder: store.save(shop(), folder)),
        "model": ("saved model", model.save),
        "table": ("feature table", impressions(9).save),
        "bundle": (
            "bundle",
            lambda f: write_bundle(f, lambda draft: (draft / "items.json").touch(), {}),
        ),
        "exported bundle": ("bundle", command),
    }
    return writers[request.param]


def test_a_folder_is_replaced_by_its_own_kind_and_by_no_other(
    writer: tuple[str, Write], tmp_path: Path
) -> None:
    kind, write_to = writer
    ours, empty, theirs = (tmp_path / name for name in ("ours", "empty", "theirs"))
    empty.mkdir()
    for folder in (ours, ours, empty):
        write_to(folder)
        assert any(folder.iterdir())
    theirs.mkdir()
    # files of another trade that happen to have the names of ours
    for name in ("manifest.json", "config.json", "schema.json", "chapter.tex"):
        (theirs / name).write_text('{"name": "years of work"}')
    # and whose keys a bundle has too, or that speak of ours
    (theirs / "manifest.json").write_text(
        '{"model_version": "3", "made_from": {"etalage_bundle": 2, "etalage_dataset": 1}}'
    )
    (theirs / "config.json").write_text('{"from": {"etalage_model": 1, "etalage_table": 1}}')
    before = {path: path.read_bytes() for path in theirs.iterdir()}
    with pytest.raises(DataError, match=f"exists and is no {kind}; choose a new folder"):
        write_to(theirs)
    assert {path: path.read_bytes() for path in theirs.iterdir()} == before
    (tmp_path / "file").write_text("a file")
    with pytest.raises(DataError, match=f"exists and is no {kind}"):
        write_to(tmp_path / "file")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "file", "ours", "theirs"]


def test_a_file_that_is_not_of_the_artefact_is_not_lost(
    writer: tuple[str, Write], tmp_path: Path
) -> None:
    kind, write_to = writer
    folder = tmp_path / "ours"
    write_to(folder)
    (folder / "notes").mkdir()
    write_to(folder)
    if kind == "feature table":
        return  # it does not say what belongs to it
    (folder / "notes").mkdir()
    (folder / "notes" / "why.txt").write_text("because")
    with pytest.raises(DataError, match=rf"holds notes/why\.txt, which is not of the {kind} there"):
        write_to(folder)
    assert (folder / "notes" / "why.txt").read_text() == "because"


def test_a_bundle_and_a_dataset_do_not_replace_each_other(exported: Exported, bundle: Path) -> None:
    with pytest.raises(DataError, match="is no stored dataset"):
        store.save(shop(), bundle)
    stored = store.save(shop(), bundle.parent / "shop")
    with pytest.raises(DataError, match="is no bundle"):
        export_bundle(stored, exported.shop.data, exported.served, exported.recipe)


KILLED = """
import os, signal, sys
from pathlib import Path
from etalage.artefact import whole_file
from tests.test_artefact import write

place, moment = Path(sys.argv[1]), sys.argv[2]
rename = os.rename

def die(*paths):
    os.kill(os.getpid(), signal.SIGKILL)

def first_then_die(*paths):
    rename(*paths)
    die()

if moment == "in the block":
    os.rename = die
elif moment == "between the renames":
    os.rename = first_then_die
if moment == "in a file":
    with whole_file(place) as draft:
        draft.write_text("half")
        die()
write(place)
"""


def killed(place: Path, moment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(place), moment], cwd=Path(__file__).parents[1]
    )
    assert done.returncode == -signal.SIGKILL


def test_after_a_kill_the_old_is_there_and_the_next_write_clears_the_draft(tmp_path: Path) -> None:
    place = tmp_path / "thing"
    write(place, "old")
    killed(place, "in the block")
    assert "old" in (place / "thing.json").read_text()
    assert len(list(tmp_path.iterdir())) == 2
    write(place)
    assert "new" in (place / "thing.json").read_text()
    assert list(tmp_path.iterdir()) == [place]


def test_after_a_kill_between_the_renames_the_old_comes_back(tmp_path: Path) -> None:
    place = tmp_path / "thing"
    write(place, "old")
    killed(place, "between the renames")
    assert not place.exists()
    with pytest.raises(ZeroDivisionError), whole_folder(place, THING):
        raise ZeroDivisionError
    assert "old" in (place / "thing.json").read_text()
    assert list(tmp_path.iterdir()) == [place]


def test_after_a_kill_in_a_file_the_next_write_clears_the_draft(tmp_path: Path) -> None:
    place = tmp_path / "log.jsonl"
    killed(place, "in a file")
    assert len(list(tmp_path.iterdir())) == 1
    with whole_file(place) as draft:
        draft.write_text("whole")
    assert list(tmp_path.iterdir()) == [place]


def test_drafts_of_others_stay(tmp_path: Path) -> None:
    """Those of a running process, of another machine, and of another place."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    kept = [
        f".thing.{HOST}-{os.getppid()}.abc",
        f".thing.ffffffff-{dead.pid}.abc",
        f".thing2.{HOST}-{dead.pid}.abc",
        ".thing.notes",
    ]
    for name in (*kept, f".thing.{HOST}-{dead.pid}.abc"):
        (tmp_path / name).mkdir()
    write(tmp_path / "thing")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*kept, "thing"])


def test_drafts_of_a_process_that_had_our_id_are_no_ones(tmp_path: Path) -> None:
    """A container starts again, and its process gets the id of the one that was killed."""
    place = tmp_path / "thing"
    for name in ("abc", "def.old"):
        left = tmp_path / f".thing.{HOST}-{os.getpid()}.{name}"
        left.mkdir()
        (left / "thing.json").write_text(f'{{"etalage_thing": 1, "text": "{name}"}}')
    with pytest.raises(ZeroDivisionError), whole_folder(place, THING):
        raise ZeroDivisionError
    assert "def.old" in (place / "thing.json").read_text()
    assert list(tmp_path.iterdir()) == [place]


def test_two_drafts_of_one_process_leave_each_other_alone(tmp_path: Path) -> None:
    place, path = tmp_path / "thing", tmp_path / "file"
    with whole_folder(place, THING) as draft:
        write(place, "first")
        (draft / "thing.json").write_text('{"etalage_thing": 1, "text": "second"}')
    assert "second" in (place / "thing.json").read_text()
    with whole_file(path) as slow:
        slow.write_text("second")
        with whole_file(path) as quick:
            quick.write_text("first")
    assert path.read_text() == "second"
    assert sorted(tmp_path.iterdir()) == [path, place]


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    """A server may watch the link, and another the folder."""
    (tmp_path / "disk").mkdir()
    folder, file = tmp_path / "disk" / "thing", tmp_path / "disk" / "file"
    for target in (folder, file):
        (tmp_path / target.name).symlink_to(target)
    for text in ("old", "new"):
        write(tmp_path / "thing", text)
        with whole_file(tmp_path / "file") as draft:
            draft.write_text(text)
        assert text in (folder / "thing.json").read_text()
        assert file.read_text() == text
    assert all((tmp_path / name).is_symlink() for name in ("thing", "file"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "file", "thing"]
    assert sorted(folder.parent.iterdir()) == [file, folder]


def test_a_link_that_a_kill_left_is_cleared_and_not_what_it_points_to(tmp_path: Path) -> None:
    write(tmp_path / "kept")
    write(tmp_path / "thing")
    (tmp_path / f".thing.{HOST}-{os.getpid()}.abc.old").symlink_to(tmp_path / "kept")
    write(tmp_path / "thing")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "thing"]
    assert (tmp_path / "kept" / "thing.json").exists()


def test_a_broken_array_is_no_reason_to_refuse_its_place(tmp_path: Path) -> None:
    table = impressions(9)
    table.save(tmp_path / "table")
    (tmp_path / "table" / "numbers.npy").unlink()
    table.save(tmp_path / "table")
    assert np.load(tmp_path / "table" / "numbers.npy").shape == (9, 1)


def test_of_two_that_make_one_folder_the_first_stays(tmp_path: Path) -> None:
    with first_folder(tmp_path / "thing") as slow:
        (slow / "text").write_text("slow")
        with first_folder(tmp_path / "thing") as quick:
            (quick / "text").write_text("quick")
        assert (tmp_path / "thing" / "text").read_text() == "quick"
    assert (tmp_path / "thing" / "text").read_text() == "quick"
    assert [path.name for path in tmp_path.iterdir()] == ["thing"]


def test_a_first_folder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with first_folder(tmp_path / "thing") as draft:
            (draft / "text").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []
