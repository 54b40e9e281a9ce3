"""Lattice constants that are known by name: the edge of the cell that an image of the material repeats."""

from adatom.errors import ArgumentError

# [nm], at room temperature. Graphite and graphene: Cooper et al., ISRN Condens. Matter Phys. 2012, 10.5402/2012/501686.
# Layered crystals: Wilson & Yoffe, Adv. Phys. 18, 193 (1969), 10.1080/00018736900101307; hBN: Pease, Acta Cryst. 5, 356
# (1952), 10.1107/S0365110X52001064. Close-packed surfaces: the cubic constant (Wyckoff, Crystal Structures, 1963) over
# sqrt(2). Perovskites along [001]: Wyckoff. Si(111)-7x7: seven times 0.384 nm.
LATTICE_CONSTANTS_NM = {
    "graphene": 0.246,
    "HOPG": 0.246,
    "hBN": 0.2504,
    "MoS2": 0.316,
    "WS2": 0.3153,
    "MoSe2": 0.3288,
    "WSe2": 0.3282,
    "MoTe2": 0.3517,
    "Au(111)": 0.2884,
    "Ag(111)": 0.2889,
    "Cu(111)": 0.2556,
    "Pt(111)": 0.2775,
    "SrTiO3": 0.3905,
    "BaTiO3": 0.3994,
    "Si(111)-7x7": 2.688,
}


def read_lattice_constant(value: float | str) -> float:
    """The constant that a number [nm], a number as text, or the name of a material states.

    Raises
    ------
    ArgumentError : if it is neither a positive length nor a known name.
    """
    if isinstance(value, str):
        names = {name.lower(): constant for name, constant in LATTICE_CONSTANTS_NM.items()}
        if value.lower() in names:
            return names[value.lower()]
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < float("inf"):
        known = ", ".join(LATTICE_CONSTANTS_NM)
        raise ArgumentError(f"lattice_constant_nm: expected a positive length in nm or one of {known}, got {value!r}.")
    return number
