"""Names of defects."""

import pandas as pd

from adatom.analyse.defects import defect_labels


def test_a_label_says_the_kind_where_the_name_does_not() -> None:
    kinds = ["vacancy", "vacancy", "substitution", "overlooked"]
    table = pd.DataFrame({"kind": kinds, "name": ["V_S", "V_S2", "V_S2", "S2"]})
    assert defect_labels(table).tolist() == ["V_S", "V_S2 (vacancy)", "V_S2 (substitution)", "S2 (overlooked)"]
    assert len(defect_labels(table.iloc[:0])) == 0
