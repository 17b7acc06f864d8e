"""`etalage creative`: pictures of items, made, judged, and put on the cards of a shop window."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etalage.cli.creative_bench import bench
from etalage.errors import RecipeError, naming_extras

if TYPE_CHECKING:
    from etalage.creative.generate import Tally

app = typer.Typer(
    no_args_is_help=True, help="Make pictures whose attributes match the item, and show them."
)
app.command()(bench)

Bindings = Annotated[
    list[str] | None,
    typer.Option("--binding", help="What belongs together, as red:mug. May be repeated."),
]
Device = Annotated[str, typer.Option(help="As torch names it: cpu, cuda, cuda:1.")]
Threshold = Annotated[float, typer.Option(min=0, max=1, help="Least score that is accepted.")]
Word = tuple[str | None, str, tuple[tuple[str, str], ...]]


@app.command()
def generate(
    pipeline: Annotated[
        Path, typer.Option(help="Folder of a diffusers pipeline (PixArt, Sana), or toy.")
    ],
    prompt: Annotated[
        str | None, typer.Argument(help="What to draw, in English; or give --items.")
    ] = None,
    binding: Bindings = None,
    parser: Annotated[
        str | None,
        typer.Option(help="Model of spaCy that finds what belongs together; rules without."),
    ] = None,
    items: Annotated[Path | None, typer.Option(help="Items to draw, a JSON object a line.")] = None,
    segment: Annotated[
        Path | None, typer.Option(help="What a group of visitors likes (JSON), with --items.")
    ] = None,
    scenes: Annotated[int, typer.Option(min=1, help="Scenes of each item, with --segment.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder of what is made.")] = Path("pictures"),
    n: Annotated[int, typer.Option("-n", "--n", min=1, help="Pictures of each prompt.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the first picture of each prompt.")] = 0,
    judge: Annotated[
        Path | None,
        typer.Option(help="Folder of a judge, CLIP or BLIP, or shapes; nobody looks without."),
    ] = None,
    threshold: Threshold = 0.5,
    tries: Annotated[int, typer.Option(min=1, help="Most pictures for an accepted one.")] = 4,
    strength: Annotated[
        float, typer.Option(min=0, help="Of the guidance: 1 for none, 2 is careful.")
    ] = 4.0,
    exclusive: Annotated[
        bool, typer.Option(help="Guide each place for one object alone; published: for any.")
    ] = False,
    baseline: Annotated[
        bool, typer.Option(help="Draw each without guidance too, to see both side by side.")
    ] = True,
    negative_prompt: Annotated[str, typer.Option(help="What is not to be seen.")] = "",
    width: Annotated[int | None, typer.Option(min=1, help="Pixels; the model's without.")] = None,
    height: Annotated[int | None, typer.Option(min=1, help="Pixels; the model's without.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of denoising.")] = 20,
    guidance_scale: Annotated[float, typer.Option(help="Of classifier-free guidance.")] = 4.5,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="More for the pipeline: clean_caption=false. May be repeated."),
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Where pictures are kept (OUT/store).")] = None,
    device: Device = "cpu",
    dtype: Annotated[
        str | None, typer.Option(help="Of the weights (float32 on cpu, else bfloat16).")
    ] = None,
) -> None:
    """Make pictures of a prompt or of items, and judge them.

    OUT gets creatives/, what may be shown, and gallery.html, to look at. The same command goes on
    where it was killed.
    """
    import sys
    from dataclasses import replace

    from etalage.cli.jobs import check_folder
    from etalage.creative.generate import Generator
    from etalage.creative.guidance import Guidance
    from etalage.creative.job import run
    from etalage.creative.maker import TOY, open_pipeline
    from etalage.creative.pretrained_judges import judge_in
    from etalage.creative.request import Request
    from etalage.creative.store import CreativeStore
    from etalage.recipe.recipe import override

    check_folder(out)
    more: dict[str, Any] = {}
    if str(pipeline) == TOY:
        with naming_extras("creative"):
            from etalage.creative.shapes.toy import CALL
        more |= CALL
    for change in settings or []:
        override(more, change)
    guidance = None if strength == 1 else Guidance(strength=strength, exclusive=exclusive)
    wanted = []
    for item, text, pairs in _words(prompt, binding, parser, items, segment, scenes):
        if not pairs:
            typer.echo(
                f"nothing is bound in {text!r}: drawn without guidance, not judged", err=True
            )
        first = Request(
            text,
            pairs,
            guidance if pairs else None,
            negative_prompt=negative_prompt,
            seed=seed,
            width=width,
            height=height,
            n_steps=steps,
            guidance_scale=guidance_scale,
        )
        wanted += [(item, replace(first, seed=seed + at)) for at in range(n)]
    looks = None if judge is None else judge_in(judge, device, threshold)
    kept = CreativeStore(store or out / "store")
    generator = Generator(open_pipeline(pipeline, device, dtype), kept, looks, tries, more)
    try:
        tally = run(generator, wanted, out, is_compared=baseline, progress=sys.stderr.isatty())
    except KeyboardInterrupt:
        typer.echo("interrupted; the same command goes on", err=True)
        raise typer.Exit(130) from None
    _show(tally, looks is not None)
    typer.echo(f"{out / 'creatives'}: {tally.n_shown:,} that may be shown")
    typer.echo(f"look: {out / 'gallery.html'}")


@app.command()
def judge(
    images: Annotated[list[Path], typer.Argument(help="Pictures to look at.")],
    binding: Annotated[list[str], typer.Option(help="What is to be seen, as red:mug. Repeat it.")],
    judge: Annotated[Path, typer.Option(help="Folder of a judge, CLIP or BLIP, or shapes.")],
    threshold: Threshold = 0.5,
    device: Device = "cpu",
) -> None:
    """Say how far pictures show what they should; ends with 3 where one of them does not."""
    from etalage.creative.pictures import read_picture
    from etalage.creative.pretrained_judges import judge_in

    pairs = _pairs(binding)
    pictures = [read_picture(path) for path in images]
    looks = judge_in(judge, device, threshold)
    n_refused = 0
    for path, picture in zip(images, pictures, strict=True):
        verdict = looks.check(picture, pairs)
        n_refused += not verdict.accepted
        told = ", ".join(f"{a} {o} {score:.2f}" for (a, o), score in verdict.scores.items())
        typer.echo(f"{'accepted' if verdict.accepted else 'refused':<9} {path}: {told}")
    if n_refused:
        raise typer.Exit(3)


@app.command()
def install(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or a bundle.")],
    creatives: Annotated[Path, typer.Argument(help="Folder creatives/, as `generate` writes it.")],
) -> None:
    """Put pictures on the cards of a bundle; a server that watches it takes them up."""
    from etalage.cli.jobs import bundle_of
    from etalage.pipeline.creatives import install_creatives

    done = install_creatives(bundle_of(run), creatives)
    for item in done.unknown[:5]:
        typer.echo(f"the bundle sells no {item}", err=True)
    if len(done.unknown) > 5:
        typer.echo(f"and none of {len(done.unknown) - 5:,} others", err=True)
    typer.echo(f"{run}: pictures of {done.n_items:,} items, model {done.model_version}")


@app.command()
def prune(
    store: Annotated[Path, typer.Argument(help="Where pictures are kept.")],
    most_mb: Annotated[float, typer.Option(min=0, help="Megabytes to leave.")],
) -> None:
    """Delete the pictures that nobody asked for longest, until the store is small enough."""
    from etalage.creative.store import CreativeStore

    kept = CreativeStore(store)
    n_deleted = kept.prune(int(most_mb * 2**20))
    typer.echo(f"{store}: {n_deleted:,} deleted, {kept.n_bytes() / 2**20:.1f} MB left")


def _words(
    prompt: str | None,
    binding: list[str] | None,
    parser: str | None,
    items: Path | None,
    segment: Path | None,
    n_scenes: int,
) -> Iterator[Word]:
    """Yields item, prompt and pairs."""
    from etalage.creative.free_text import find_bindings
    from etalage.creative.items import read_items, read_segment, scenes_of
    from etalage.creative.parsed_text import load_parser, parsed_bindings

    if (prompt is None) == (items is None):
        raise RecipeError("say what to draw: give a prompt, or --items and no prompt")
    if binding and parser:
        raise RecipeError(
            "what belongs together is said by --binding or found by --parser, not both"
        )
    if prompt is not None:
        if segment is not None or n_scenes != 1:
            raise RecipeError("--segment and --scenes go with --items; leave them out")
        if binding:
            yield None, prompt, _pairs(binding)
        else:
            read = parsed_bindings(prompt, load_parser(parser)) if parser else find_bindings(prompt)
            yield None, prompt, tuple(p for one in read for p in one.pairs)
        return
    assert items is not None
    if binding or parser:
        raise RecipeError("items bring their bindings; leave --binding and --parser out")
    if segment is None and n_scenes != 1:
        raise RecipeError("--scenes are those of a segment; give it with --segment")
    liked = None if segment is None else read_segment(segment)
    for item, composed in scenes_of(read_items(items), liked, n_scenes):
        yield item, composed.prompt, tuple(p for one in composed.bindings for p in one.pairs)


def _pairs(binding: list[str]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for text in binding:
        attribute, colon, thing = text.partition(":")
        if not colon or not attribute.strip() or not thing.strip():
            raise RecipeError(f"a binding is attribute:object, as red:mug; got {text!r}")
        pairs.append((attribute.strip(), thing.strip()))
    return tuple(pairs)


def _show(tally: "Tally", is_judged: bool) -> None:
    rows = [("pictures wanted", f"{tally.n_requests:,}"), ("made now", f"{tally.n_made:,}")]
    if is_judged:
        cost = tally.images_per_accepted
        rows += [
            ("accepted", f"{tally.n_accepted:,} of {tally.n_judged:,} judged"),
            ("images generated per accepted", "–" if cost is None else f"{cost:.2f}"),
        ]
    for name, value in rows:
        typer.echo(f"{name:<30} {value}")
