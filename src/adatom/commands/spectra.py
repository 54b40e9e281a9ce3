"""Images and spectra: predictors of one from the other, trained and used."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adatom.commands.terminal import (
    Channel,
    Debug,
    Device,
    Json,
    Out,
    PixelSize,
    app,
    print_json,
    print_lines,
    progress,
    write_run,
)

if TYPE_CHECKING:
    import xarray as xr

    from adatom.models.pair_model import PairModel

spectra = typer.Typer(no_args_is_help=True, help="Spectra from images and images from spectra: train, predict.")
app.add_typer(spectra, name="spectra")

At = Annotated[
    float | None,
    typer.Option("--at", metavar="VALUE", help="Take the map of the spectra at this bias (energy, time) as the image."),
]


@spectra.command(epilog="Example: adatom spectra train topography.h5 --spectra didv.h5 --out my-model")
def train(
    image: Annotated[Path, typer.Argument(help="File of the image, or of the spectra with an image beside them.")],
    out: Out,
    spectra: Annotated[
        str | None, typer.Option("--spectra", metavar="FILE|CHANNEL", help="Spectra; by default those in IMAGE.")
    ] = None,
    channel: Channel = None,
    at: At = None,
    to: Annotated[str, typer.Option(help="What is predicted: spectrum or image.")] = "spectrum",
    patch_size: Annotated[
        float | None, typer.Option("--patch-size", metavar="NM", help="Side of the patch around a spectrum [nm].")
    ] = None,
    patch_px: Annotated[int | None, typer.Option("--patch-px", min=1, help="The same in pixels; by default 7.")] = None,
    border: Annotated[str, typer.Option(help="Patches over the border: 'leave out' or 'mirror'.")] = "leave out",
    clean: Annotated[bool, typer.Option("--clean/--no-clean", help="Leave out broken spectra, replace spikes.")] = True,
    net: Annotated[str, typer.Option(help="im2spec, or ved (structured latent space).")] = "im2spec",
    latent: Annotated[int | None, typer.Option(min=1, help="Numbers in the bottleneck.")] = None,
    rotations: Annotated[
        bool, typer.Option("--rotation-invariant", help="With ved: a turned patch gives the same spectrum.")
    ] = False,
    members: Annotated[int, typer.Option(min=1, help="Networks of the ensemble, and blocks left out.")] = 5,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each training, at most.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same model.")] = 0,
    pixel_size: PixelSize = None,
    device: Device = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Learn which spectrum belongs to which structure, and print the baselines beside the network.

    What is printed was measured on blocks of the scan that were left out of the training, with a gap of one patch.
    """
    import time

    from adatom.models import ImageToSpectrum, SpectrumToImage

    if to not in ("spectrum", "image"):
        raise typer.BadParameter(f"expected spectrum or image, got {to}", param_hint="--to")
    started = time.perf_counter()
    structure, measured = _read_both(image, spectra, channel, at, pixel_size)
    estimator = ImageToSpectrum if to == "spectrum" else SpectrumToImage
    model = estimator(
        net=net,
        latent=latent,
        invariance="rotation" if rotations else "none",
        n_members=members,
        patch_size_nm=patch_size,
        patch_size_px=patch_px,
        border=border,  # type: ignore[arg-type]  # checked by pair_up
        clean=clean,
        training={"steps": steps, "validate_every": min(25, max(1, steps // 4))},
        random_state=seed,
        device=device,
    )
    pairs = model.pair(structure, measured)
    with progress(f"training {members} networks", members * steps) as advance:
        model.fit_pairs(
            pairs,
            on_record=lambda record: advance(
                record["member"] * steps + record["step"], f"member {record['member'] + 1}, loss {record['loss']:.3f}"
            ),
        )
    out.mkdir(parents=True, exist_ok=True)
    model.save(out / "model.safetensors")
    warnings = [] if at is None else [_CIRCULAR]
    summary: dict[str, Any] = {
        "model": str(out / "model.safetensors"),
        "n_pairs": len(pairs),
        "n_left_out": pairs.n_left_out,
        "patch": _patch_in_words(model),
        "seconds": round(time.perf_counter() - started, 1),
        "warnings": warnings,
        "figures": model.figures_,
    }
    if isinstance(model, ImageToSpectrum):
        from adatom.commands.spectra_report import write_spectra_report
        from adatom.models.spectrum_comparison import compare

        comparison = compare(model, pairs, seed=seed)
        summary |= {
            "verdict": comparison.verdict,
            "beats_baselines": comparison.beats_baselines,
            "comparison": comparison.table.to_dict("records"),
        }
        summary["seconds"] = round(time.perf_counter() - started, 1)
        write_spectra_report(out, model, pairs, measured, structure, comparison, summary)
    write_run(out, {"image": str(image), "spectra": spectra, "seed": seed, "summary": summary})
    if as_json:
        print_json(summary)
        return
    from adatom.report.lines import spectra_lines

    print_lines(spectra_lines(image.name, summary, out))


@spectra.command(epilog="Example: adatom spectra predict my-model/model.safetensors topography.h5 --out spectra")
def predict(
    model: Annotated[str, typer.Argument(help="Model file that `adatom spectra train` has written.")],
    image: Annotated[Path, typer.Argument(help="File of the image; for a model of images, of the spectra.")],
    out: Out,
    channel: Channel = None,
    at: At = None,
    pixel_size: PixelSize = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Predict the spectrum at each pixel of an image, or the patch around each spectrum, with error bars.

    Writes spectrum.h5 and spectrum_std.h5 (NeXus), descriptors.csv (what loops, gaps or peaks they show at each place,
    with errors) and predicted.png; of patches patch.npz.
    """
    import numpy as np

    from adatom.analyse.spectrum_descriptors import describe_map
    from adatom.data.atomic_file import write_atomically, write_table
    from adatom.data.spectrum_image import spectral_axis
    from adatom.files import read, write
    from adatom.models import ImageToSpectrum, SpectrumToImage, load
    from adatom.prepare.spectrum_pairs import map_at
    from adatom.report import figure_png
    from adatom.report.spectra_figures import draw_scan_maps

    loaded: Any = load(model)
    if not isinstance(loaded, ImageToSpectrum | SpectrumToImage):
        raise typer.BadParameter(
            f"expected an ImageToSpectrum or a SpectrumToImage, {model} is a {type(loaded).__name__}",
            param_hint="MODEL",
        )
    values = read(image, channel=channel, pixel_size=pixel_size)
    if at is not None:
        values = map_at(values, at)[0] if isinstance(loaded, ImageToSpectrum) else map_at(values, at)[1]
    out.mkdir(parents=True, exist_ok=True)
    predicted = loaded.predict(values)
    if isinstance(loaded, ImageToSpectrum):
        written, maps = [], {}
        several = "spectrum" in predicted["spectrum"].dims
        for number in range(predicted.sizes["spectrum"] if several else 1):
            one = predicted.isel(spectrum=number) if several else predicted
            ending = f"_{number}" if several else ""
            for name in ("spectrum", "spectrum_std"):
                write(one[name], out / f"{name}{ending}.h5", overwrite=True)
            write_table(out, f"descriptors{ending}", describe_map(one["spectrum"], one["spectrum_std"]))
            written += [f"spectrum{ending}.h5", f"spectrum_std{ending}.h5", f"descriptors{ending}.csv"]
            if number == 0:
                axis = spectral_axis(one["spectrum"])
                maps["range of the predicted spectrum"] = np.ptp(
                    one["spectrum"].transpose("y", "x", axis).to_numpy(), axis=2
                )
                maps["mean standard deviation"] = one["spectrum_std"].mean(axis, skipna=False).to_numpy()
        n_predicted = int(np.isfinite(maps["mean standard deviation"]).sum())
    else:
        import io

        stream = io.BytesIO()
        np.savez_compressed(stream, patch=predicted["patch"].to_numpy(), patch_std=predicted["patch_std"].to_numpy())
        write_atomically(out / "patch.npz", stream.getvalue())
        written = ["patch.npz"]
        middle = tuple(side // 2 for side in loaded.patch_px_)
        at_middle = {"patch_y": middle[0], "patch_x": middle[1], "channel": 0}
        maps = {
            "predicted image": predicted["patch"].isel(at_middle).to_numpy(),
            "standard deviation": predicted["patch_std"].isel(at_middle).to_numpy(),
        }
        n_predicted = int(np.isfinite(maps["predicted image"]).sum())
    write_atomically(out / "predicted.png", figure_png(draw_scan_maps(maps)))
    written.append("predicted.png")
    facts = {"model": model, "n_predicted": n_predicted, "written": written}
    write_run(out, {"image": str(image), **facts})
    if as_json:
        print_json(facts)
        return
    print(f"{out}: {n_predicted} predicted; see {', '.join(written)}")


_CIRCULAR = (
    "The image is a map out of the spectra themselves: what is predicted is partly known from it. Its point is left "
    "out of the spectra, but neighbouring points resemble it; figures say how the rest of a spectrum follows from it."
)


def _read_both(
    image: Path, spectra: str | None, channel: str | None, at: float | None, pixel_size: float | None
) -> tuple["xr.DataArray", "xr.DataArray"]:
    """The image and the spectrum image that the options name."""
    from adatom.data.spectrum_image import SPECTRAL_DIMENSIONS
    from adatom.errors import ArgumentError
    from adatom.files import info, read
    from adatom.prepare.spectrum_pairs import map_at

    def spectral(path: Path) -> list[str]:
        contents = info(path)["contents"]
        return [each["name"] for each in contents if set(each["dims"]) & set(SPECTRAL_DIMENSIONS)]

    is_file = spectra is not None and Path(spectra).exists()
    file = Path(spectra) if is_file and spectra is not None else image
    there = spectral(file)
    if not there:
        raise ArgumentError(
            f"spectra: expected a channel with an axis of {', '.join(SPECTRAL_DIMENSIONS)} in {file.name}, got none. "
            "Name the file of the spectra with --spectra."
        )
    name = there[0] if spectra is None or is_file else spectra
    if name not in there:
        raise ArgumentError(f"spectra: expected one of {', '.join(there)} in {file.name}, got {name!r}.")
    measured = read(file, channel=name, pixel_size=pixel_size)
    if at is not None:
        return map_at(measured, at)
    contents = info(image)["contents"]
    flat = [each["name"] for each in contents if set(each["dims"]) == {"y", "x"}]
    chosen = channel or (flat[0] if flat else None)
    if chosen is None or chosen not in flat:
        raise ArgumentError(
            f"image: expected a channel (y, x) in {image.name}, got {chosen or 'none'}. Name the file of the image and "
            "give the spectra with --spectra, or take a map of the spectra with --at."
        )
    return read(image, channel=chosen, pixel_size=pixel_size), measured


def _patch_in_words(model: "PairModel") -> str:
    y, x = model.patch_px_
    if model.pixel_nm_ is None:
        return f"{y} x {x} px"
    return f"{y} x {x} px, {y * model.pixel_nm_[0]:.4g} x {x * model.pixel_nm_[1]:.4g} nm"
