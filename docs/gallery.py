"""Make the gallery: `adatom find` on every real image of ``../shared/data``, as it comes, good or bad.

    python docs/gallery.py [--out DIR]

Writes ``docs/gallery.md`` and the overlays of images whose licence lets them be shown to ``docs/images/gallery/``;
``--out`` keeps all overlays at full size, to be looked at. The verdicts are by a person, in ``gallery.yaml``, and are
checked against nothing: after a change of the finder, look again.
"""

import argparse
import io
from dataclasses import dataclass
from pathlib import Path

import yaml
from PIL import Image

import adatom as ad
from adatom.errors import AdatomError
from adatom.files import info
from adatom.finder import Finding, search
from adatom.report import draw_overlay, figure_png

DOCS = Path(__file__).resolve().parent
DATA = DOCS.parent.parent / "shared" / "data"
_WIDTH = 480  # of a picture in the page [px]


@dataclass(frozen=True)
class Group:
    """Images of one source: how to find them, whether they may be shown, and what a person says of the result."""

    title: str
    pattern: str
    source: str
    shown: bool
    verdict: str
    channel: str | None = None
    frame: int | None = None


GROUPS = [Group(**each) for each in yaml.safe_load((DOCS / "gallery.yaml").read_text(encoding="utf-8"))]


def main() -> None:
    parser = argparse.ArgumentParser(description="Run `adatom find` on every real image, and write the gallery.")
    parser.add_argument("--out", type=Path, default=None, help="folder for all overlays at full size")
    out = parser.parse_args().out
    page = [
        "# Gallery: every real image at hand",
        "",
        "`adatom find FILE`, nothing else: no model named, no size given, no image left out. Circles are atoms that",
        "the finder claims. It was trained on simulated images only; some of these images were looked at while its",
        "simulator was written. The verdicts are by eye. Made by `python docs/gallery.py`.",
        "",
    ]
    pictures = DOCS / "images" / "gallery"
    pictures.mkdir(parents=True, exist_ok=True)
    for group in GROUPS:
        page += [f"## {group.title}", "", f"{group.verdict}", "", f"*{group.source}*", ""]
        rows = ["| file | atoms | spacing | support | warnings |", "|---|---|---|---|---|"]
        shown: list[str] = []
        for file in sorted(DATA.glob(group.pattern)):
            try:
                finding = search(ad.read(file, channel=group.channel, frame=group.frame))
            except AdatomError as error:
                rows.append(f"| {file.name} | | | | not read: {error} |")
                continue
            rows.append(_row(file, group, finding))
            picture = figure_png(draw_overlay(finding.image, finding.atoms))
            print(rows[-1], flush=True)
            if out is not None:
                out.mkdir(parents=True, exist_ok=True)
                (out / f"{file.stem}.png").write_bytes(picture)
            if group.shown and len(shown) < 2:
                name = f"{file.stem}.png"
                _reduce(picture).save(pictures / name, optimize=True)
                shown.append(f"![{file.name}](images/gallery/{name})")
        pictured = " ".join(shown) or "(Not shown: no licence text that allows it is at hand.)"
        page += [*rows, "", pictured, ""]
    page.append("The licences of the images shown are in `images/gallery/licences/`.\n")
    (DOCS / "gallery.md").write_text("\n".join(page), encoding="utf-8")


def _row(file: Path, group: Group, finding: Finding) -> str:
    summary = finding.summary
    nm, px = summary["spacing_nm"], summary["spacing_px"]
    apart = f"{nm:.3g} nm" if nm else f"{px:.3g} px" if px else ""
    support = f"{summary['support']:.2f}" if summary["support"] is not None else ""
    channels = info(file)["channels"]
    channel = f" ({group.channel or channels[0]})" if len(channels) > 1 else ""
    warnings = " ".join(each for each in summary["warnings"] if not each.startswith("The file states no pixel size"))
    return f"| {file.name}{channel} | {summary['n_atoms']} | {apart} | {support} | {warnings} |"


def _reduce(picture: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.thumbnail((_WIDTH, 2 * _WIDTH))
    return image.quantize(64, dither=Image.Dither.NONE)


if __name__ == "__main__":
    main()
