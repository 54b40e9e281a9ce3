"""Models as files: those that ship, and those that come from elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from adatom.commands.terminal import Debug, Json, app, print_json

models_app = typer.Typer(rich_markup_mode=None)
app.add_typer(models_app, name="models", epilog="Example: adatom models --json")


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: Json = False, debug: Debug = False) -> None:
    """List the models that ship, with the figures they reached; or import one of AtomAI, or export one."""
    if context.invoked_subcommand is not None:
        return
    from adatom.models.catalogue import read_header, shipped_models

    rows = []
    for name, path in shipped_models().items():
        header = read_header(path)
        rows.append(
            {
                "name": name,
                "kind": header["kind"],
                "description": header["description"],
                "classes": header["classes"],
                "figures": header["figures"],
                "megabytes": round(path.stat().st_size / 1e6, 2),
                "licence": header["licence"],
            }
        )
    if as_json:
        print_json({"models": rows})
        return
    for row in rows:
        figures = row["figures"]
        print(f"{row['name']} ({row['megabytes']} MB, {row['licence']}): {row['description']}")
        reached = (
            f"F1 {figures['val_f1']:.3f}, position error {figures['val_position_rms_px']:.2f} working px"
            if "val_f1" in figures
            else f"IoU {figures['val_iou']:.3f}"
        )
        print(f"  {row['kind']}, classes {', '.join(row['classes'])}; on simulated validation images {reached}")


@models_app.command("import", epilog="Example: adatom models import atomai.tar --out mine.safetensors --spacing-px 12")
def import_model(
    file: Annotated[Path, typer.Argument(help="Segmenting model as AtomAI saves it (.tar).")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Model file to be written.")],
    classes: Annotated[str | None, typer.Option(help="Names of its species, such as C,Si.")] = None,
    spacing_px: Annotated[
        float | None,
        typer.Option(
            metavar="PX",
            help="Distance of neighbouring atoms in the images of its training; without, images are taken as they are.",
        ),
    ] = None,
    background: Annotated[str, typer.Option(help="Which of its channels is the background: last or first.")] = "last",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a model of AtomAI one of ours, which gives the same probabilities; runs nothing of the file."""
    from adatom.models.atomai_import import Meant, import_atomai

    if background not in ("last", "first"):
        raise typer.BadParameter("expected last or first", param_hint="--background")
    names = None if classes is None else [name.strip() for name in classes.split(",")]
    model = import_atomai(
        file, Meant(classes=names, background="last" if background == "last" else "first", spacing_px=spacing_px)
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    model.save(out)
    facts = {"model": str(out), "network": model.architecture_["name"], "classes": model.classes_}
    if as_json:
        print_json(facts)
        return
    scale = "takes images as they are" if spacing_px is None else f"knows atoms {spacing_px:g} px apart"
    print(f"{out}: a Segmenter ({facts['network']}), classes {', '.join(model.classes_)}; {scale}")


@models_app.command("export", epilog="Example: adatom models export any_atoms --out any_atoms.onnx")
def export_model(
    model: Annotated[str, typer.Argument(help="Model file, or the name of one that ships.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="ONNX file to be written.")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a model as ONNX, which `adatom find` and other programs run, and check it against torch."""
    from typing import Any

    from adatom.models import load
    from adatom.models.onnx_file import TOLERANCE, export_onnx

    if out.suffix.lower() != ".onnx":
        raise typer.BadParameter("expected a name that ends in .onnx", param_hint="--out")
    loaded: Any = load(model)
    out.parent.mkdir(parents=True, exist_ok=True)
    difference = export_onnx(loaded, out)
    facts = {"model": str(out), "greatest_difference": difference, "tolerance": TOLERANCE}
    if as_json:
        print_json(facts)
        return
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB, logits as torch gives them to {difference:.1g}")
