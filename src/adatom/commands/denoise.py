"""Noise taken out of images."""

from pathlib import Path
from typing import Annotated

import typer

from adatom.commands.terminal import Channel, Debug, Frame, Json, PixelSize, app, print_json, print_lines, progress


@app.command(epilog="Example: adatom denoise scan.sxm --out clean.tif")
def denoise(
    file: Annotated[Path, typer.Argument()],
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="File to make: .tif, .h5, .nxs or .zarr; its risk, figure and summary are made beside it."
        ),
    ],
    method: Annotated[
        str | None,
        typer.Option(
            help="blind_spot (learns from this image; the default), frames (from this movie; the default of movies), "
            "simulated (from images of --recipe), model (one that was kept), gaussian, non_local_means, wavelet, "
            "total_variation."
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="FILE", help="A denoiser that was kept; implies model.")] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Material of the simulated images, as MoS2, or a recipe; implies simulated.")
    ] = None,
    like: Annotated[
        Path | None, typer.Option(help="Image that the simulated ones are to look like; by default FILE.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Of a training.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what learns.")] = 0,
    keep_model: Annotated[
        Path | None, typer.Option("--keep-model", metavar="FILE", help="Keep what was trained, for --model.")
    ] = None,
    channel: Channel = None,
    frame: Frame = None,
    pixel_size: PixelSize = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Take the noise out of an image, a stack or a movie, and show what was taken out."""
    from adatom.errors import ArgumentError
    from adatom.files import read, write
    from adatom.noise_remover import METHODS, default_method, remove_noise
    from adatom.report.denoising_figure import draw_denoising, write_denoising
    from adatom.report.lines import denoising_lines

    if method is not None and method not in METHODS:
        raise typer.BadParameter(f"expected one of {', '.join(METHODS)}", param_hint="--method")
    image = read(file, channel=channel, frame=frame, pixel_size=pixel_size)
    chosen = method or default_method(image, model=model, recipe=recipe)
    trains = chosen in ("blind_spot", "frames", "simulated")
    unsuited = {
        "--model": model if chosen != "model" else None,
        "--recipe": recipe if chosen != "simulated" else None,
        "--like": like if chosen != "simulated" else None,
        "--steps": steps if not trains else None,
        "--keep-model": keep_model if not trains else None,
    }
    for option, value in unsuited.items():
        if value is not None:
            raise typer.BadParameter(f"is not for the method {chosen}", param_hint=option)
    risk_file, figure_file, summary_file = (
        out.with_name(out.stem + ending) for ending in (f"_risk{out.suffix}", "_denoising.png", "_denoising.json")
    )
    if out.exists() and file.exists() and out.resolve() == file.resolve():
        raise ArgumentError(f"out: expected another file than the input, got {str(out)!r}. Choose another name.")
    if out.exists() and not force:
        raise ArgumentError(f"out: expected a name that is free, got {str(out)!r}, which exists. Use --force.")
    with progress("denoising", 100) as advance:
        cleaning = remove_noise(
            image,
            method=chosen,
            model=model,
            recipe=recipe,
            like=None if like is None else read(like),
            random_state=seed,
            steps=steps,
            on_progress=lambda what, done, total: advance(100 * done // total, f"{what} {done} of {total}"),
        )
    denoised, risk = cleaning.result["denoised"], cleaning.result["risk"]
    write(denoised, out, overwrite=force)
    write(risk, risk_file, overwrite=True)
    if keep_model is not None and cleaning.model is not None:
        cleaning.model.save(keep_model)
    first = {"frame": 0} if image.ndim == 3 else {}
    figure = draw_denoising(
        cleaning.image.isel(first),
        denoised.isel(first),
        risk.isel(first),
        cleaning.structure[0].peaks,
        cleaning.structure[0].spots,
    )
    summary = {
        "file": str(file),
        "out": str(out),
        "risk": str(risk_file),
        "figure": str(figure_file),
        **cleaning.summary,
    }
    write_denoising(figure_file, figure, summary_file, summary)
    if as_json:
        print_json(summary)
        return
    print_lines(denoising_lines(file.name, summary))
