"""Spectrum images and lattices, taken apart."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer

from adatom.commands.terminal import (
    Channel,
    Debug,
    Frame,
    Json,
    Out,
    PixelSize,
    app,
    print_json,
    print_lines,
    write_run,
)


@app.command(epilog="Example: adatom unmix spectra.h5 --method nmf --poisson --out components")
def unmix(
    file: Annotated[Path, typer.Argument(help="Spectrum image; or, with --window, an image of a lattice.")],
    out: Out,
    method: Annotated[
        str, typer.Option(help="nmf, pca, ica, or vca (purest pixels). By default nmf, or pca of values below 0.")
    ] = "auto",
    components: Annotated[str, typer.Option(metavar="N|auto", help="How many; auto: those above the noise.")] = "auto",
    poisson: Annotated[bool, typer.Option("--poisson", help="Values are counts: weigh them by their noise.")] = False,
    keep_outliers: Annotated[
        bool, typer.Option("--keep-outliers", help="Do not leave out pixels that are far stronger than all others.")
    ] = False,
    window: Annotated[
        float | None, typer.Option(metavar="NM", help="Phases of a lattice, by Fourier transforms of such windows.")
    ] = None,
    step: Annotated[
        float | None, typer.Option(metavar="NM", help="From window to window; by default a quarter.")
    ] = None,
    channel: Channel = None,
    frame: Frame = None,
    pixel_size: PixelSize = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same components.")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Take a spectrum image apart into few spectra and their maps, or an image into the phases of its lattice."""
    from adatom.analyse import lattice_phases, outlying_pixels
    from adatom.analyse import unmix as unmix_spectra
    from adatom.analyse.spectrum_blocks import has_negative_values
    from adatom.analyse.unmixing import UnmixingMethod
    from adatom.data.rounding import rounded
    from adatom.data.spectrum_image import SPECTRAL_DIMENSIONS
    from adatom.errors import ArgumentError
    from adatom.files import read
    from adatom.report.unmixed_results import write_unmixed

    try:
        number: int | Literal["auto"] = "auto" if components == "auto" else int(components)
    except ValueError:
        raise typer.BadParameter("expected a whole number or auto", param_hint="--components") from None
    chosen: UnmixingMethod | None = next((name for name in get_args(UnmixingMethod) if name == method), None)
    if chosen is None and method != "auto":
        raise typer.BadParameter(f"expected one of {', '.join(get_args(UnmixingMethod))}", param_hint="--method")
    image = read(file, channel=channel, frame=frame, pixel_size=pixel_size)
    summary: dict[str, Any] = {"file": file.name}
    if window is not None:
        still = image.isel(frame=0) if "frame" in image.dims else image
        phases = lattice_phases(still, window, step=step, n_components=number, random_state=seed)
        shares = phases.abundance.mean(("y", "x")).to_numpy()
        summary |= {"what": "lattice phases", "window": phases.abundance.attrs["window"]}
        found: Any = phases
    elif not set(SPECTRAL_DIMENSIONS) & set(image.dims):
        raise ArgumentError(f"window: expected one for an image ({', '.join(map(str, image.dims))}). Give --window NM.")
    else:
        mask = None if keep_outliers else outlying_pixels(image)
        if chosen is None:
            chosen = "pca" if not poisson and has_negative_values(image, mask) else "nmf"
        found = unmix_spectra(
            image,
            method=chosen,
            n_components=number,
            weighting="poisson" if poisson else "none",
            mask=mask,
            random_state=seed,
        )
        shares = found.explained[: len(found.spectra)]
        summary |= {"what": "spectra", "method": chosen, "weighting": found.weighting}
        summary["n_outlying_pixels"] = 0 if mask is None else int(mask.sum())
        summary["residual"] = rounded(float((found.residual**2).mean() ** 0.5))
    summary |= {"n_components": len(found.spectra), "n_suggested": found.n_suggested}
    summary["shares" if window is not None else "explained"] = [rounded(float(share)) for share in shares]
    write_unmixed(out, found, summary)
    write_run(out, {"file": str(file)})
    if as_json:
        print_json(summary)
        return
    n_out = summary.get("n_outlying_pixels")
    print_lines(
        [
            f"{file.name}: {len(found.spectra)} components of {summary['what']}, {found.n_suggested} above the noise",
            *([f"  warning  {n_out} outlying pixels were left out; --keep-outliers keeps them"] if n_out else []),
            f"  written  {out}/components.png, abundance.tif, summary.json",
        ]
    )
