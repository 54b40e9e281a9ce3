"""The files that an exploration leaves behind, each written whole or not at all."""

from pathlib import Path
from typing import Any

import pandas as pd

from adatom.analyse.exploration import Exploration
from adatom.data.atomic_file import write_atomically, write_json, write_table
from adatom.report.canvas import figure_png
from adatom.report.dynamics_figures import draw_dynamics, draw_tracks, draw_trajectories
from adatom.report.explorer_page import render_exploration
from adatom.report.latent_figures import draw_latent_map, draw_latents, draw_manifold, traversal_gif


def write_exploration(folder: Path, found: Exploration, *, title: str) -> None:
    """Write ``atoms`` (CSV and parquet), of movies ``tracks``, ``hops``, ``transitions``, ``hidden_transitions`` and
    ``lifetimes``, the figures, ``traversal.gif``, ``report.html`` and, last, ``summary.json``.
    """
    names = found.latent_columns
    known = found.atoms.iloc[found.windows.rows]
    coloured = ["state", *(name for name in ("flux", "angle") if name in known and known[name].notna().any())]
    figures: dict[str, tuple[str, Any]] = {
        "latent_map.png": (
            "Latent numbers and states of the atoms" + (" in the first frame" if found.dynamics else ""),
            draw_latent_map(found.image, found.atoms, ["state", *names[:5]]),
        ),
        "latents.png": ("Atoms by their latent numbers", draw_latents(known, names[:2], by=coloured)),
        "manifold.png": ("What latent numbers draw, upright", draw_manifold(found.model.manifold(n=7))),
    }
    tables: dict[str, pd.DataFrame] = {}
    if found.dynamics is not None:
        moved = found.dynamics
        figures |= {
            "dynamics.png": ("Transitions, lifetimes, displacements", draw_dynamics(moved)),
            "trajectories.png": (
                "Atoms whose state changes most",
                draw_trajectories(found.atoms, names[:2], moved.tracks),
            ),
            "tracks.png": ("Ways of the linked atoms, hops in red", draw_tracks(found.image, found.atoms, moved.hops)),
        }
        tables = {
            "tracks": moved.tracks,
            "hops": moved.hops,
            "transitions": moved.changes.table(),
            "hidden_transitions": moved.hidden.changes.table(),
            "lifetimes": moved.lives.table,
        }
    write_table(folder, "atoms", found.atoms, parquet=True)
    for name, table in tables.items():
        write_table(folder, name, table)
    for file, (_, figure) in figures.items():
        write_atomically(folder / file, figure_png(figure))
    animation = traversal_gif(found.model)
    write_atomically(folder / "traversal.gif", animation)
    page = render_exploration(found.summary, dict(figures.values()), animation, title=title)
    write_atomically(folder / "report.html", page)
    write_json(folder / "summary.json", found.summary)
