import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd

from adatom.data import make_atoms
from adatom.report import draw_histograms, figure_png, render_report

HOSTILE = '<script>alert("x")</script>\' onerror=1.sxm'


def some_atoms(n_atoms: int, *, species: str = "Mo", history: tuple[str, ...] = ()) -> pd.DataFrame:
    place = np.arange(n_atoms, dtype=float)
    columns = {"x": place, "y": 2 * place, "species": [species] * n_atoms, "probability": np.full(n_atoms, 0.9)}
    return make_atoms(columns, units="nm", image_shape=(40, 40), pixel_size=(0.1, 0.1), history=history)


def some_summary(**changes: object) -> dict[str, object]:
    return {
        "n_atoms": 30,
        "species": {"Mo": 30},
        "spacing_nm": 0.316,
        "spacing_px": 12.3,
        "units": "nm",
        "pixel_size": [0.0257, 0.0257],
        "model": "general",
        "model_sha256": "0123456789abcdef" * 4,
        "warnings": ["The pixel size seems wrong."],
        "seconds": 1.25,
        "lattice": {"a_px": 12.3, "b_px": 12.4, "angle_deg": 60.1, "stretch": 1.01, "pixel_size": None},
        "file": "scan.sxm",
        **changes,
    }


class Tags(HTMLParser):
    """Collects the tags of a page, and everything that they would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


def test_page_tells_what_was_found():
    text = re.sub(
        "<[^>]*>", "", render_report(some_summary(), some_atoms(30, history=("Read scan.sxm.",)), {}, title="t")
    )
    for told in (
        "30 atoms found",
        "0.3160\u00a0nm (12.30\u00a0px)",
        "0.02570\u00a0nm",
        "general 0123456789ab",
        "a = 12.30\u00a0px",
        "The pixel size seems wrong.",
        "The first 20 of 30 atoms",
        "Read scan.sxm.",
        "scan.sxm",
    ):
        assert told in text


def test_hostile_names_stay_text():
    summary = some_summary(file=HOSTILE, model=HOSTILE, warnings=[HOSTILE], species={HOSTILE: 3}, model_sha256=HOSTILE)
    atoms = some_atoms(3, species=HOSTILE, history=(HOSTILE,)).assign(**{HOSTILE: HOSTILE})
    tags = Tags(render_report(summary, atoms, {HOSTILE: figure_png(draw_histograms(atoms))}, title=HOSTILE))
    assert "script" not in tags.names
    assert not tags.handlers


def test_page_is_one_file():
    page = render_report(some_summary(), some_atoms(30), {"Overlay": draw_histograms(some_atoms(5))}, title="t")
    tags = Tags(page)
    assert tags.names.count("img") == 2
    assert all(load.startswith("data:") for load in tags.loads)
    assert not re.search(r"https?://|@import|url\(", page)


def test_page_of_nothing_says_so():
    summary = some_summary(
        n_atoms=0, species={}, spacing_nm=None, spacing_px=float("nan"), pixel_size=None, lattice=None, warnings=[]
    )
    page = render_report(summary, some_atoms(0), {}, title="bytes that are no text: \udcff")
    assert "0 atoms found" in page and "positions are in pixels" in page
    assert "Spacing" not in page and "Lattice" not in page
    assert 'role="alert"' not in page
    page.encode()


def test_histograms_of_any_table():
    atoms = some_atoms(4)
    atoms.loc[0, "x"] = np.nan
    for table in (atoms, atoms[:0], atoms[:1], atoms.assign(x=1.0, y=1.0, probability=np.nan)):
        assert figure_png(draw_histograms(table)).startswith(b"\x89PNG")
