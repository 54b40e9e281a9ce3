"""The commands, each a call that Python users have too; `adatom.cli` gathers them."""
