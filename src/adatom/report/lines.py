"""What a person reads in a terminal, as lines of text; the command line prints them."""

from pathlib import Path
from typing import Any

# Lines of metadata that are shown of a file, and what one asks first about an image where there are more.
_N_TOLD = 12
_PICTURES = ("overlay.png", "overview.png", "decoded.png", "uncertainty.png")
_WRITTEN = (*_PICTURES, "maps.zarr", "report.html", "atoms.csv", "atoms.parquet", "summary.json")
_ASKED_FOR = ("bias", "voltage", "current", "setpoint", "dwell", "magnif", "detector", "temperature", "date", "comment")


def contents_lines(name: str, facts: dict[str, Any]) -> list[str]:
    """What a file called `name` holds, from the facts of `adatom.files.info`."""
    n = len(facts["channels"])
    lines = [f"{name}: {facts['format']}, {n} channel{'s' if n > 1 else ''}"]
    rows = [("channel", "shape", "axes", "type", "units", "pixel size", "field of view")]
    for each in facts["contents"]:
        size = each["pixel_size"]
        y, x = (size, size) if isinstance(size, float) else size or (None, None)
        sides = dict(zip(each["dims"], each["shape"], strict=True))
        rows.append(
            (
                each["name"],
                " x ".join(str(n) for n in each["shape"]),
                " ".join(each["dims"]),
                each["dtype"],
                each["units"] or "not stated",
                f"{x:.6g} nm" if isinstance(size, float) else f"{x:.6g} x {y:.6g} nm" if size else "not stated",
                f"{x * sides['x']:.4g} x {y * sides['y']:.4g} nm" if size else "",
            )
        )
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        lines.append("  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    axis = facts["spectral_axis"]
    if axis is not None:
        span = f"{axis['n']} values from {axis['min']:.6g} to {axis['max']:.6g} {axis['units']}"
        lines.append(f"  {axis['name']}: {span}")
    if facts["pixel_size"] is None:
        lines.append("  To find atoms in nm, give --pixel-size NM.")
    if n > 1:
        lines.append(f"  Without --channel, {facts['channels'][0]} is read.")
    lines += [f"  note: {step}" for step in facts["history"]]
    every = facts["metadata"].items()
    asked_for = [(key, value) for key, value in every if any(word in key.split(".")[-1].lower() for word in _ASKED_FOR)]
    told = list(every) if len(every) <= _N_TOLD else asked_for[:_N_TOLD]
    lines += [f"  {key}: {' '.join(str(value).split())[:100]}" for key, value in told]
    if len(every) > len(told):
        lines.append(f"  ... and {len(every) - len(told)} more lines of metadata; --json tells all")
    return lines


def profile_lines(seconds: dict[str, float] | None) -> list[str]:
    """Where the time went, by stage."""
    if not seconds:
        return ["  profile  not told for an image that is searched whole; give --memory"]
    return [f"  profile  {name:20s} {value:8.2f} s" for name, value in seconds.items()]


def finding_lines(name: str, summary: dict[str, Any], folder: Path) -> list[str]:
    """What was found in a file called `name`, from its summary; the results are in `folder`."""
    species = ", ".join(f"{n} {kind}" for kind, n in summary["species"].items()) or "none"
    nm = summary["spacing_nm"]
    apart = f"{nm} nm apart" if nm else f"{summary['spacing_px']} px apart" if summary["spacing_px"] else ""
    lines = [f"{name}: {summary['n_atoms']} atoms ({species}) {apart}, by {summary['model']}, {summary['seconds']} s"]
    if summary["lattice"]:
        cell = summary["lattice"]
        edges = f"{cell['a_px']} x {cell['b_px']} px at {cell['angle_deg']} deg"
        lines.append(f"  lattice  {edges}, regular edge {cell['edge_px']} px")
    if summary.get("brightness"):
        split = summary["brightness"]
        groups = ", ".join(f"{group['n']} {name}" for name, group in split["groups"].items())
        lines.append(f"  columns  {groups}; {100 * split['error_rate']:.1f} % may be in the wrong group")
    if summary.get("sublattices"):
        lines.append(f"  odd      {odd_atoms_line(summary['sublattices'])}; odd_probability in atoms.csv")
    lines += [f"  warning  {warning}" for warning in summary["warnings"]]
    if summary.get("n_frames"):
        lines.append(f"  movie    {summary['n_frames']} frames, one by one")
    written = [each for each in _WRITTEN if (folder / each).exists()]
    lines.append(f"  written  {folder}/{', '.join(written)}")
    return lines


def figure_lines(figures: dict[str, Any], classes: list[str]) -> list[str]:
    """Figures of a model, and which class was taken for which."""
    single = {name: value for name, value in figures.items() if name != "confusion"}
    lines = [f"  {name:24s} {value if isinstance(value, int) else f'{value:.4f}'}" for name, value in single.items()]
    names = ["none", *classes]
    width = max(8, *(len(name) + 2 for name in names))
    lines.append("  true \\ found".ljust(26) + "".join(name.rjust(width) for name in names))
    for name, row in zip(names, figures["confusion"], strict=True):
        lines.append(f"  {name}".ljust(26) + "".join(str(n).rjust(width) for n in row))
    return lines


def match_lines(name: str, summary: dict[str, Any], folder: Path) -> list[str]:
    """What a recipe was matched to, from `adatom.matching.Match.summary`."""
    lines = [f"{name}: {summary['recipe']}, {summary['factor']:.3g} pixels of the recipe in a pixel"]
    for row in summary["estimates"]:
        std = "" if row["std"] is None else f" +- {row['std']:.2g}"
        lines.append(f"  {row['name']:32s} {row['value']:.4g}{std} {row['unit']}".rstrip())
    test = summary["two_sample"]
    lines.append(
        f"  real crops are told from simulated ones in {100 * test['after']['accuracy']:.0f} % of the cases "
        f"(before {100 * test['before']['accuracy']:.0f} %; 50 % is perfect)"
    )
    lines += [f"  warning  {warning}" for warning in summary["warnings"]]
    lines.append(f"  written  {folder}/match.png, match.yaml, match.json")
    return lines


def spectra_lines(name: str, summary: dict[str, Any], folder: Path) -> list[str]:
    """How well spectra and images are predicted from each other, from the summary of `adatom spectra train`."""
    left_out = ", ".join(f"{n} {reason}" for reason, n in summary["n_left_out"].items() if n)
    lines = [f"{name}: {summary['n_pairs']} pairs, patch {summary['patch']}, {summary['seconds']:.0f} s"]
    lines += [f"  left out  {left_out}"] if left_out else []
    if "comparison" in summary:
        lines.append("  on blocks of the scan that were left out:            R2     (90 %)            rmse")
        for row in summary["comparison"]:
            mark = "  baseline" if row["is_baseline"] else "          "
            spread = f"{row['r2_low']:+.3f} to {row['r2_high']:+.3f}"
            lines.append(f"  {mark}  {row['model']:36s} {row['r2']:+.3f}  {spread}  {row['rmse']:.4g}")
        lines.append(f"  {summary['verdict']}")
    else:
        lines += [f"  {key:24s} {value:.4f}" for key, value in summary["figures"].items()]
    lines += [f"  warning  {warning}" for warning in summary["warnings"]]
    lines.append(f"  written  {folder}/model.safetensors" + (", report.html" if "comparison" in summary else ""))
    return lines


def analysis_lines(name: str, summary: dict[str, Any], folder: Path) -> list[str]:
    """What the atoms of a table called `name` say, from `adatom.analyse.analysis.Analysis.summary`."""
    units = summary["units"]
    lines = [f"{name}: {summary['n_atoms']} atoms, {summary['n_bonds']} bonds of {summary['bond_length']} {units}"]
    for lattice in summary["lattices"]:
        kinds = " and ".join(f"{each['n_atoms']} {each['species'] or 'mixed'}" for each in lattice["sublattices"])
        a, b = (f"{lattice[edge]} +- {lattice[f'{edge}_std']:.1g}" for edge in ("a", "b"))
        angle = f"{lattice['angle_deg']:.2f} +- {lattice['angle_std_deg']:.1g} deg"
        lines.append(f"  lattice  {a} x {b} {units} at {angle}: {kinds}")
    if summary["n_grains"] > 1:
        lines.append(f"  grains   {summary['n_grains']}, {summary['n_boundary_atoms']} atoms at their boundaries")
    if summary["rings"]:
        lines.append("  rings    " + ", ".join(f"{n} with {size}" for size, n in summary["rings"].items()) + " atoms")
    for defect, facts in summary["defects"].items():
        low, high = facts["interval_95"]
        likely = "" if facts["expected"] is None else f", {facts['expected']:.1f} of them expected to be real"
        lines.append(f"  {facts['kind']:12s} {defect}: {facts['n']} ({low:.1f} to {high:.1f}){likely}")
    movie = summary.get("movie")
    if movie:
        events = ", ".join(f"{n} {kind}" for kind, n in movie["events"].items()) or "none"
        changing = f"{movie['n_unstable']} of {movie['n_sites']} sites change in {movie['n_frames']} frames"
        lines.append(f"  events   {events}; {changing}")
    lines += [f"  warning  {warning}" for warning in summary.get("warnings", ())]
    more = "events.csv, " if movie else ""
    lines.append(f"  written  {folder}/report.html, defects.csv, {more}atoms.csv, bonds.csv, rings.csv, summary.json")
    return lines


def exploration_lines(name: str, summary: dict[str, Any], folder: Path) -> list[str]:
    """What windows around the atoms of a file say, from `adatom.analyse.exploration.Exploration.summary`."""
    units = summary["units"]
    lines = [
        f"{name}: {summary['n_windows']} windows of {summary['window']} {units} around {summary['n_looked_at']} atoms "
        f"({summary['n_left_out']} whose windows are not whole)",
        "  states   " + ", ".join(f"{each['state']}: {each['n']}" for each in summary["states"]),
    ]
    movie = summary.get("movie")
    if movie:
        unit = "s" if movie["frame_time_s"] else "frames"
        told = f"{movie['n_tracks']} in {movie['n_frames']} frames; {movie['n_changes_of_state']} changes of state"
        lines.append(f"  tracks   {told}, {movie['n_hops']} hops")
        for each in movie["lifetimes"]:
            low, high = (
                "any" if each[name] is None else f"{each[name]:.3g}" for name in ("lifetime_low", "lifetime_high")
            )
            lines.append(f"  lifetime of state {each['class']}: {low} to {high} {unit}")
    lines += [f"  warning  {warning}" for warning in summary.get("warnings", ())]
    more = "tracks.csv, transitions.csv, " if movie else ""
    lines.append(f"  written  {folder}/report.html, atoms.csv, {more}model.safetensors, traversal.gif, summary.json")
    return lines


def adapted_lines(out: Path, facts: dict[str, Any]) -> list[str]:
    """Round by round, how a model was adapted to images, from `adatom.adapter.Adapted.summary`."""
    lines = []
    for each in facts["rounds"]:
        anchor = "" if each["anchor_f1"] is None else f", F1 {each['anchor_f1']:.3f} on images as it was trained on"
        kept = "" if each["is_kept"] else "  (not kept)"
        atoms = f"{each['n_expected']:.0f} atoms expected, {each['n_sure']} sure, agreement {each['agreement']:.3f}"
        lines.append(f"  round {each['number']}  {each['way']:15s} {atoms}{anchor}{kept}")
    lines += [f"  warning  {warning}" for warning in facts["warnings"]]
    lines.append(f"  written  {out}/model.safetensors, round*.png" + (", match.png" if facts["matched"] else ""))
    return lines


def odd_atoms_line(sublattices: dict[str, Any]) -> str:
    """How many atoms of each sublattice are brighter or dimmer than the others, from a summary."""
    each = (
        f"of {facts['n']} {name} {facts['n_brighter']} brighter, {facts['n_dimmer']} dimmer"
        for name, facts in sublattices.items()
    )
    return "; ".join(each)


def progress_line(record: dict[str, Any]) -> str:
    """How a training stands at a validation, from its record, see `adatom.train.train`."""
    overlap = f"IoU {record['val_iou']:.3f}  " if "val_iou" in record else ""
    atoms = f"atoms F1 {record['val_f1']:.3f}  " if "val_f1" in record else ""
    return (
        f"  step {record['step']:5d}  loss {record['loss']:.3f}  validation loss {record['val_loss']:.3f}  "
        f"{overlap}{atoms}({record['seconds']:.0f} s)"
    )


def labelled_lines(store: Path, sheet: Path, facts: dict[str, Any]) -> list[str]:
    """What was cut out of labelled images, from the facts of `adatom.models.labelled_set`."""
    atoms = ", ".join(f"{n} {name}" for name, n in facts["n_atoms"].items())
    side = facts["crop_px"]
    return [
        f"{store}: {facts['n_training']} crops of {side} x {side} px for training, {facts['n_validation']} of other "
        f"parts of the images for validation; see {sheet}",
        f"  atoms: {atoms}; each a disc with a radius of {facts['radius_px']:.1f} px",
        f"  learn from it: adatom train RECIPE --data {store} --out my-model",
    ]


def particle_lines(name: str, summary: dict[str, Any], folder: Path) -> list[str]:
    """What particles were found in a file called `name`, from its summary; the results are in `folder`."""
    n, cut, units = summary["n_particles"], summary["n_cut_by_border"], summary["units"]
    lines = [f"{name}: {n} particles, {cut} of them cut by the border, by {summary['model']}, {summary['seconds']} s"]
    low, high = summary["diameter_interval"]
    if summary["diameter"] is not None:
        sure = "" if low is None else f" ({low:.3g} to {high:.3g}, {100 * summary['confidence']:.0f} %)"
        lines.append(f"  diameter of whole ones {summary['diameter']:.4g} {units}{sure}")
    lines += [f"  warning  {warning}" for warning in summary["warnings"]]
    lines.append(f"  written  {folder}/overlay.png, histogram.png, particles.csv, instances.tif, summary.json")
    return lines


def denoising_lines(name: str, summary: dict[str, Any]) -> list[str]:
    """What denoising a file called `name` gave, from its summary."""
    unit = f" {summary['units']}" if summary["units"] else ""
    by = summary["model"] or summary["method"]
    residual = summary["residual"]
    if residual["removed_share"] is not None:
        told = (
            f"{100 * residual['removed_share']:.2g} % of the lattice's amplitude ({residual['n_peaks']} peaks, "
            f"p {max(residual['p_value'], 1e-99):.2g})"
        )
    else:
        told = f"no lattice to judge by; highest peak of its spectrum p {residual['p_value']:.2g}"
    lines = [
        f"{name}: noise {summary['noise_before']:.4g}{unit} before, {summary['noise_after']:.4g}{unit} after (by its "
        f"risk), by {by}, {summary['seconds']} s",
        f"  residual: rms {summary['removed_rms']:.4g}{unit}; {told}; {residual['n_spots']} spots",
        f"  {summary['out']}, {summary['risk']}, {summary['figure']}",
    ]
    return lines + [f"  warning: {warning}" for warning in summary["warnings"]]
