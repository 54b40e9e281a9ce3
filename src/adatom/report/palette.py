"""Colours and marks of species: distinct for colour-blind eyes, in print, and on a grey image."""

from matplotlib.colors import ListedColormap

# Okabe and Ito, Color Universal Design (2008); black is left out because it outlines the others on the image.
COLOURS = ("#E69F00", "#56B4E9", "#CC79A7", "#F0E442", "#009E73", "#D55E00", "#0072B2")
# Regular polygons (corners, 0, rotation), all centred on their centre of mass, with the size that gives each the same
# weight as the circle. Eight marks and seven colours: 56 species before a pair comes back.
MARKS: tuple[tuple[str | tuple[int, int, float], float], ...] = (
    ("o", 1.0),
    ((4, 0, 45.0), 1.2),
    ((3, 0, 0.0), 1.38),
    ((4, 0, 0.0), 1.2),
    ((6, 0, 0.0), 1.1),
    ((3, 0, 180.0), 1.38),
    ((5, 0, 0.0), 1.15),
    ((5, 0, 180.0), 1.15),
)
NO_DATA = "#B9C7D6"
BACKGROUND = "#2B2B2B"


def species_colour(index: int) -> str:
    """Colour of the species with this number."""
    return COLOURS[index % len(COLOURS)]


def species_mark(index: int) -> tuple[str | tuple[int, int, float], float]:
    """Mark of the species with this number, and its size relative to a circle."""
    return MARKS[index % len(MARKS)]


def label_colours(n_classes: int) -> ListedColormap:
    """Colour map of a label image: background dark, then one colour for each class."""
    return ListedColormap([BACKGROUND, *(species_colour(i) for i in range(n_classes))])
