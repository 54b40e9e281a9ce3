"""Names of species, and the atoms that they stand for."""

import pytest

from adatom.errors import ArgumentError
from adatom.structures.elements import columns_of, read_elements, read_formula


def formulas(*species: str, **elements: str) -> dict[str, str]:
    return {name: column.formula for name, column in columns_of(species, elements=elements).items()}


class TestColumnsOf:
    def test_names_of_the_models_that_ship(self) -> None:
        told = formulas("W", "S2", "V_S", "V_S2", "Mo_W")
        assert told == {"W": "W", "S2": "S2", "V_S": "S", "V_S2": "none", "Mo_W": "Mo"}

    def test_a_vacancy_leaves_the_rest_of_its_column(self) -> None:
        assert formulas("C", "V_C") == {"C": "C", "V_C": "none"}
        assert columns_of(["V_S"], known_columns=["W", "S2"])["V_S"].symbols == ("S",)

    def test_one_of_two_atoms_is_replaced(self) -> None:
        assert formulas("Mo", "S2", "Se_S", "S2_Mo") == {"Mo": "Mo", "S2": "S2", "Se_S": "SeS", "S2_Mo": "S2"}

    def test_what_stands_on_top_has_no_site(self) -> None:
        column = columns_of(["Fe_ad"])["Fe_ad"]
        assert column.symbols == ("Fe",) and column.site == ""

    def test_given_elements_reach_into_other_names(self) -> None:
        columns = columns_of(["W", "S2", "Mo_W", "V_S"], elements={"W": "Mo", "Mo_W": "V"})
        assert columns["W"].symbols == ("Mo",)
        assert columns["Mo_W"].symbols == ("V",) and columns["Mo_W"].site == "Mo"

    @pytest.mark.parametrize("name", ["adatom", "atom", "A", "../x", "", "Xx", "S99", "M" * 500, "a=b", "W_\n"])
    def test_a_name_that_says_no_element_is_told(self, name: str) -> None:
        with pytest.raises(ArgumentError, match=r"species|elements") as error:
            columns_of([name])
        assert len(str(error.value)) < 400

    def test_a_vacancy_of_an_unknown_column_is_told(self) -> None:
        with pytest.raises(ArgumentError, match="V_S=none"):
            columns_of(["W", "V_S"])


class TestReadElements:
    def test_several_in_one(self) -> None:
        assert read_elements(["A=Mo,B=S2", "hole=none"]) == {"A": "Mo", "B": "S2", "hole": "none"}

    @pytest.mark.parametrize("text", ["A", "=Mo", "", "A,B"])
    def test_other_texts_are_told(self, text: str) -> None:
        with pytest.raises(ArgumentError, match="NAME=FORMULA"):
            read_elements([text])

    def test_a_formula_of_no_element_is_told(self) -> None:
        with pytest.raises(ArgumentError, match="Qq"):
            columns_of(["A"], elements={"A": "Qq"})


def test_formulas() -> None:
    assert read_formula("SeS2") == ("Se", "S", "S")
    assert read_formula("X") is None and read_formula("s") is None and read_formula("S0") is None
