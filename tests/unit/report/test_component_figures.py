"""Figures of decompositions, domains, spectra and phases: one is drawn for whatever was found."""

import numpy as np
import pytest

import adatom as ad
from adatom.analyse import (
    decompose,
    find_domains,
    lattice_phases,
    mixture,
    neighbour_vectors,
    patches_around_atoms,
    unmix,
)
from adatom.data.atoms import make_atoms
from adatom.report import draw_decomposition, draw_domains, draw_phases, draw_unmixed

RNG = np.random.default_rng(0)


def lattice(units="nm"):
    x, y = (index.ravel() * 0.4 + 0.4 for index in np.mgrid[:10, :12])
    x, y = x + RNG.normal(0, 0.01, x.shape), y + RNG.normal(0, 0.01, x.shape)
    scale = 1.0 if units == "nm" else 10.0
    columns = {"x": x * scale, "y": y * scale, "species": ["atom"] * len(x)}
    atoms = make_atoms(columns, units=units, image_shape=(52, 44), pixel_size=(0.1, 0.1))
    return ad.make_image(RNG.normal(size=(52, 44)), pixel_size=0.1), atoms


@pytest.mark.parametrize("method", ["pca", "ica", "nmf"])
def test_patches(method):
    image, atoms = lattice()
    found = decompose(patches_around_atoms(image, atoms, 0.5), method=method, n_components=3)
    figure = draw_decomposition(image, atoms, found)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[1::2] == found.names and titles[2::2] == ["loading"] * 3


def test_vectors_and_domains_of_atoms_in_px():
    image, atoms = lattice("px")
    found = decompose(neighbour_vectors(atoms, 4), n_components=1)
    draw_decomposition(image, atoms, found)
    domains = find_domains(mixture(found, n=2).on_atoms(atoms))
    texts = [text.get_text() for text in draw_domains(image, domains).legends[0].get_texts()]
    assert sum("class" in text for text in texts) == len(set(domains.atoms["class"]) - {0})
    assert texts[-1].startswith("walls: ")


def test_domains_of_no_atoms():
    image, atoms = lattice()
    atoms["component"] = 0
    draw_domains(image, find_domains(atoms))


def test_spectra():
    image = ad.make_image(
        RNG.normal(size=(12, 9, 6)), dims=("y", "x", "bias"), coordinates={"bias": (np.arange(6), "V")}
    )
    figure = draw_unmixed(unmix(image, method="pca", n_components=3))
    assert figure.axes[1].get_xlabel() == "bias [V]"
    draw_unmixed(unmix(image * 0, method="vca", n_components=1))


def test_phases():
    image, _ = lattice()
    assert len(draw_phases(lattice_phases(image, 1.6, n_components=2)).axes) == 5
    draw_phases(lattice_phases(image * 0, 1.6))
