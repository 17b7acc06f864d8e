"""`etalage doctor`: is this machine, and this log, fit for work?"""

from typing import Annotated

import typer

from etalage.cores import n_cores
from etalage.errors import EXTRAS


def doctor(
    data: Annotated[str | None, typer.Argument(help="A log whose health is checked too.")] = None,
) -> None:
    """Check versions, threads, memory and optional parts; and a log, if one is named."""
    import os
    import platform
    import shutil
    from importlib.metadata import PackageNotFoundError, version
    from time import time

    rows = [
        ("etalage", version("etalage")),
        ("python", platform.python_version()),
        ("cores", f"{os.cpu_count()}, of which {n_cores()} are used"),
        ("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "not set: all cores")),
        ("memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GB"),
        ("free disk here", f"{shutil.disk_usage('.').free / 2**30:.1f} GB"),
        ("data folder", os.environ.get("ETALAGE_DATA", "ETALAGE_DATA is not set")),
    ]
    problems = []
    for extra, names in EXTRAS.items():
        found, missing = [], []
        for name in names:
            try:
                found.append(f"{name} {version(name)}")
            except PackageNotFoundError:
                missing.append(name)
        rows.append((f"part '{extra}'", ", ".join(found) or "not installed"))
        if missing and extra == "train":
            problems.append(f"no {', '.join(missing)}; run: pip install 'etalage[{extra}]'")
    threads = os.environ.get("OMP_NUM_THREADS")
    if threads is None and n_cores() > 8:
        problems.append("many cores: set OMP_NUM_THREADS to the cores this job may use")
    if threads is not None and not all(n.strip().isdigit() for n in threads.split(",")):
        problems.append(f"OMP_NUM_THREADS={threads} is no number, and is ignored")
    for name, value in rows:
        typer.echo(f"{name:<18} {value}")
    if data is not None:
        from etalage.data.describe import describe
        from etalage.data.ingest import open_dataset

        found_in_log = describe(open_dataset(data), now_ms=int(1000 * time()))
        for fact, text in found_in_log.rows():
            typer.echo(f"{fact:<18} {text}")
        problems += found_in_log.problems
    for problem in problems:
        typer.secho(f"! {problem}", fg="yellow")
    if not problems:
        typer.secho("all well", fg="green")
