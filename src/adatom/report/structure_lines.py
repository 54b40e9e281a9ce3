"""What a person reads of a structure in a terminal, as lines of text."""

from pathlib import Path
from typing import Any

_TOLD = 8  # contradicted places


def structure_lines(out: Path, facts: dict[str, Any], written: list[Path]) -> list[str]:
    """Of a structure that was made of an atom table, from its summary."""
    counts = ", ".join(f"{n} {symbol}" for symbol, n in facts["elements"].items())
    lines = [f"{out}: {facts['n_atoms']} atoms ({counts})"]
    columns = ", ".join(f"{name} = {formula}" for name, formula in facts["columns"].items())
    lines.append(f"  columns  {columns}")
    lines.append(f"  heights  {facts['heights']}; cell {' x '.join(f'{edge:.4g}' for edge in facts['cell_nm'])} nm")
    for bond in facts["bonds"][:4]:
        known = f"; {bond['source']} has {bond['known_nm']:.4f}" if bond["known_nm"] else ""
        lines.append(
            f"  distance {'-'.join(bond['pair'])} {bond['measured_nm']:.4f} nm (scatter {bond['spread_nm']:.4f}){known}"
        )
    if facts["relaxation"] is not None:
        lines += _relaxation_lines(facts["relaxation"])
    if facts["image"] is not None:
        lines += _image_lines(facts["image"])
    lines += [f"  warning  {warning}" for warning in facts["warnings"]]
    lines.append(f"  written  {', '.join(str(path) for path in written)}")
    return lines


def _relaxation_lines(facts: dict[str, Any]) -> list[str]:
    end = "converged" if facts["converged"] else f"not converged{': ' + facts['stopped'] if facts['stopped'] else ''}"
    lines = [
        f"  relaxed  by {facts['calculator']}, {facts['n_steps']} steps, {end} (force "
        f"{facts['largest_force_ev_per_angstrom']:.3g} eV/A): {facts['energy_before_ev']:.4f} to "
        f"{facts['energy_after_ev']:.4f} eV",
        f"  held     {facts['n_fixed']} atoms near the border of the image, {facts['n_free']} free",
        f"  moved    {1000 * facts['moved_rms_nm']:.2f} pm rms, {1000 * facts['moved_max_nm']:.2f} at most; beyond a "
        f"stretch by {100 * (facts['stretch'] - 1):+.2f} %, {1000 * facts['moved_beyond_stretch_rms_nm']:.2f} rms",
    ]
    if facts["within_2_std"] is not None:
        within, beyond, expected = (
            100 * facts[f"within_2_std{which}"] for which in ("", "_beyond_stretch", "_expected")
        )
        lines.append(
            f"  of {facts['n_with_error_bar']} atoms {within:.0f} % stayed within 2 of their error bars (beyond the "
            f"stretch {beyond:.0f} %); errors alone would keep {expected:.0f} %"
        )
    return lines


def _image_lines(facts: dict[str, Any]) -> list[str]:
    brightness = ", ".join(f"{symbol} {value:.3g}" for symbol, value in facts["brightness"].items())
    power = facts["contrast_exponent"]
    lines = [
        f"  image    the structure explains {100 * facts['r2']:.1f} % of the variance around its atoms, of "
        f"{100 * facts['r2_possible']:.1f} % that are not noise (each with its own brightness: "
        f"{100 * facts['r2_free']:.1f} %); what is left has {facts['chi2']:.3g} times the noise's variance",
        f"  an atom  is {facts['width_nm']:.4f} nm wide (standard deviation); brightness {brightness}"
        + (f", as Z^{power:.2f}" if power is not None else ""),
        f"  contradicted are {facts['n_contradicted']} places",
    ]
    if "r2_relaxed" in facts:
        lines.insert(1, f"           relaxed it explains {100 * facts['r2_relaxed']:.1f} %")
    for one in facts["contradicted"][:_TOLD]:
        what = f"row {one['row']} ({one['column']})" if one["row"] is not None else "no atom"
        lines.append(f"    x {one['x']:.3f} y {one['y']:.3f} nm, {what}: {one['reason']} ({one['sigma']:+.1f} sigma)")
    if facts["n_contradicted"] > _TOLD:
        lines.append(f"    ... and {facts['n_contradicted'] - _TOLD} more")
    return lines
