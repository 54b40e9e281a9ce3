"""The look of the page: one column, the reader's own font and colour scheme."""

STYLE = """
:root { --paper: #ffffff; --ink: #1d1f23; --soft: #5f6670; --line: #dde1e6; --card: #f6f7f9;
  --alert: #8a4b00; --alert-paper: #fff4e0; --alert-line: #e69f00; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #15171a; --ink: #e8eaed; --soft: #a0a7b1; --line: #33383f; --card: #1f2227;
    --alert: #ffcf80; --alert-paper: #33260f; --alert-line: #b97f00; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 52rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; overflow-wrap: anywhere; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .75rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.file { margin: 0; color: var(--soft); }
.species { list-style: none; display: flex; flex-wrap: wrap; gap: .5rem; padding: 0; margin: 0 0 1rem; }
.species li { border: 1px solid var(--line); border-radius: 1rem; padding: .15rem .75rem; }
.dot { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .45em; }
.warnings { background: var(--alert-paper); color: var(--alert); border-left: 4px solid var(--alert-line);
  border-radius: 4px; padding: .75rem 1rem; margin: 1rem 0; }
.warnings h2 { margin: 0 0 .25rem; }
.warnings ul { margin: 0; padding-left: 1.2rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .5rem; margin: 0 0 .5rem; }
.facts div { background: var(--card); border-radius: 6px; padding: .5rem .75rem; }
.facts dt { color: var(--soft); font-size: .85rem; }
.facts dd { margin: 0; }
figure { margin: 1.5rem 0 1.5rem; }
figure img { display: block; max-width: 100%; height: auto; margin: 0 auto; background: #fff; border-radius: 6px; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .35rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
code { font-size: .9em; }
@media (prefers-color-scheme: dark) { figure img { filter: brightness(.92); } }
@media print { figure { break-inside: avoid; } }
"""
