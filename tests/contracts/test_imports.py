"""Heavy things wait until asked for, and the doors to the rooms do not depend on which one was opened first."""

import subprocess
import sys


def in_a_fresh_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


TELL_HEAVY = "print(*sorted({'torch', 'matplotlib', 'pandas', 'scipy', 'xarray'} & set(sys.modules)))"


def test_import_adatom_loads_nothing_heavy():
    assert in_a_fresh_process(f"import sys, adatom; dir(adatom); {TELL_HEAVY}").split() == []


def test_help_loads_nothing_heavy():
    code = f"""
import runpy, sys
for arguments in (["--help"], ["find", "--help"], ["train", "--help"], ["--version"]):
    sys.argv = ["adatom", *arguments]
    try:
        runpy.run_module("adatom", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        assert not end.code, end.code
print("HEAVY")
{TELL_HEAVY}
"""
    told, heavy = in_a_fresh_process(code).split("HEAVY\n")
    assert "Usage" in told and heavy.split() == []


def test_models_and_recipes_are_listed_without_torch():
    code = f"""
import sys
from adatom.models import load_recipe, shipped_models
from adatom.models.catalogue import read_header
for name, path in shipped_models().items():
    assert read_header(path)["name"] == load_recipe(name).name
{TELL_HEAVY}
"""
    assert "torch" not in in_a_fresh_process(code).split()


def test_nothing_takes_pyplot_and_with_it_a_window():
    code = """
import sys
from importlib import import_module
from pkgutil import walk_packages
import adatom
for module in walk_packages(adatom.__path__, "adatom."):
    if not module.name.endswith("__main__"):
        import_module(module.name)
assert "matplotlib.figure" in sys.modules
print("matplotlib.pyplot" in sys.modules)
"""
    assert in_a_fresh_process(code).strip() == "False"


def test_the_verbs_and_nouns_are_there_whichever_room_was_entered_first():
    code = """
import sys
from importlib import import_module
from itertools import permutations
rooms = ["adatom.files", "adatom.finder", "adatom.models.segmenter", "adatom.train"]
for order in permutations(rooms):
    for name in [name for name in sys.modules if name.split(".")[0] == "adatom"]:
        del sys.modules[name]
    for room in order:
        import_module(room)
    import adatom
    for name in adatom.__all__:
        assert name == "__version__" or callable(getattr(adatom, name)), (name, order)
    assert adatom.find is sys.modules["adatom.finder"].find
    assert adatom.read is sys.modules["adatom.files"].read
    assert adatom.load is sys.modules["adatom.models.catalogue"].load
    assert adatom.Segmenter is sys.modules["adatom.models.segmenter"].Segmenter
print("all")
"""
    assert in_a_fresh_process(code).strip() == "all"


def test_an_unknown_name_is_an_attribute_error():
    code = """
import adatom.models
import adatom.train
for module in (adatom, adatom.models, adatom.train):
    try:
        module.fnid
    except AttributeError as error:
        print(error)
"""
    assert in_a_fresh_process(code).count("has no attribute 'fnid'") == 3
