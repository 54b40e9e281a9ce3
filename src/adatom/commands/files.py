"""What files hold, and files made of them."""

from pathlib import Path
from typing import Annotated

import typer

from adatom.commands.terminal import Channel, Debug, Frame, Json, PixelSize, app, print_json, print_lines


@app.command(epilog="Example: adatom info scan.sxm")
def info(file: Annotated[Path, typer.Argument()], as_json: Json = False, debug: Debug = False) -> None:
    """Tell what a file holds: format, channels, shape, pixel size, units."""
    from adatom.files import info as describe
    from adatom.report.lines import contents_lines

    facts = describe(file)
    if as_json:
        print_json(facts)
        return
    print_lines(contents_lines(file.name, facts))


@app.command(epilog="Example: adatom convert scan.sxm --channel Z --out scan.tif")
def convert(
    file: Annotated[Path, typer.Argument()],
    out: Annotated[Path, typer.Option("--out", help="File to make: .tif, .h5 or .nxs (NeXus), or .zarr.")],
    channel: Channel = None,
    frame: Frame = None,
    pixel_size: PixelSize = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a channel of a file as TIFF, HDF5 (NeXus) or zarr, with its calibration; the input is never replaced.

    A training set in AtomAI's layout (X_train, y_train, X_test, y_test in an .npz file) becomes a store, and a store
    becomes such a file: adatom convert set.npz --out set.zarr, adatom convert set.zarr --out set.npz.
    """
    from adatom.data import pixel_size_nm
    from adatom.errors import ArgumentError
    from adatom.files import read, write

    if out.exists() and file.exists() and out.resolve() == file.resolve():
        raise ArgumentError(f"out: expected another file than the input, got {str(out)!r}. Choose another name.")
    if channel is None and frame is None and _convert_training_set(file, out, pixel_size, as_json):
        return
    image = read(file, channel=channel, frame=frame, pixel_size=pixel_size)
    write(image, out, overwrite=force)
    size = pixel_size_nm(image)
    if as_json:
        told = {"out": str(out), "dims": list(image.dims), "shape": list(image.shape), "dtype": str(image.dtype)}
        print_json({**told, "pixel_size": None if size is None else list(size), "units": image.attrs["units"]})
        return
    what = f"{image.attrs['signal']} " if image.attrs["signal"] else ""
    sides = "pixels of unknown size" if size is None else f"pixels of {size[1]:.6g} x {size[0]:.6g} nm (x, y)"
    dims = ", ".join(str(dim) for dim in image.dims)
    print(f"{out}: {what}{' x '.join(str(n) for n in image.shape)} ({dims}), {image.dtype}, {sides}")


def _convert_training_set(file: Path, out: Path, pixel_size: float | None, as_json: bool) -> bool:
    """Convert a training set from or to AtomAI's layout; False if `file` is none."""
    from adatom.data.training_set import VALIDATION, open_training_set
    from adatom.data.training_store import is_training_store, store_training_set
    from adatom.files.atomai_npz import is_atomai_set, read_atomai_set, write_atomai_set

    if out.suffix == ".zarr" and is_atomai_set(file):
        data = read_atomai_set(file, pixel_size_nm=pixel_size)
        store_training_set(data, out)
    elif out.suffix == ".npz" and is_training_store(file):
        data = open_training_set(file)
        write_atomai_set(data, out)
    else:
        return False
    told = {"out": str(out), "n_images": data.sizes["sample"], "n_atoms": data.sizes["atom"]}
    if "split" in data:
        told["n_validation"] = int((data["split"] == VALIDATION).sum())
    if as_json:
        print_json(told)
    else:
        kept = f", {told['n_validation']} of them for validation" if "n_validation" in told else ""
        print(f"{out}: training set of {told['n_images']} images with {told['n_atoms']} known atoms{kept}")
    return True
