"""The whole way, in a few minutes."""

from pathlib import Path
from typing import Annotated, Any

import typer

from adatom.commands.learning import draw_training
from adatom.commands.terminal import Debug, Out, app, print_lines, progress, write_run


@app.command(epilog="Example: adatom demo --out demo-output")
def demo(
    out: Out = Path("demo-output"),
    steps: Annotated[int, typer.Option(min=1, help="Training steps; 300 take about two minutes on two cores.")] = 300,
    debug: Debug = False,
) -> None:
    """The whole way in a few minutes: simulate, train from scratch, and find the atoms of a real STM image."""
    import time
    from importlib import resources

    from adatom.files import read
    from adatom.finder import search
    from adatom.models.recipe import load_recipe
    from adatom.models.training_run import change_training, train_model
    from adatom.report import write_results
    from adatom.report.lines import finding_lines, progress_line

    started = time.monotonic()
    recipe = change_training(load_recipe("si111_7x7"), steps=steps, seed=None)
    print("1. Simulate: images of Si(111)-7x7 with known atoms, made on the fly and never shown twice.")
    print(f"2. Train a U-Net on them from scratch, {steps} steps:", flush=True)
    with progress("training", steps) as advance:

        def show(record: dict[str, Any]) -> None:
            advance(record["step"], f"loss {record['loss']:.3f}")
            if "val_loss" in record:
                print(progress_line(record), flush=True)

        model = train_model(recipe, out / "training", resume=False, device="auto", on_record=show)
    draw_training(out / "training", model)
    print("3. Find the adatoms of a real image, Si(111)-7x7 with defects (STM), which the network has never seen:")
    with resources.as_file(resources.files("adatom") / "examples" / "image_with_defects.dat") as file:
        finding = search(read(file), model=out / "training" / "model.safetensors")
        finding.summary["file"] = file.name
        write_results(out / file.stem, finding.image, finding.atoms, finding.maps, finding.summary)
        print_lines(finding_lines(file.name, finding.summary, out / file.stem))
    write_run(out, {"seed": recipe.training.seed, "n_atoms": finding.summary["n_atoms"]})
    print(f"Look at {out / file.stem}/overlay.png, {out}/training/loss.png and {out}/training/samples.png.")
    print(f"Done in {time.monotonic() - started:.0f} s. Next: adatom find YOUR_FILE --out results")
