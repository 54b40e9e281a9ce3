"""The page of an exploration: what windows around atoms have in common, where they differ, and how they change."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from matplotlib.figure import Figure

from adatom.report.page import facts_part, figure_part, warnings_part, whole_page


def render_exploration(
    summary: Mapping[str, Any], figures: Mapping[str, Figure | bytes], animation: bytes, *, title: str
) -> str:
    """Write the page; it loads nothing and runs no script.

    Parameters
    ----------
    summary : of `adatom.analyse.exploration.Exploration`.
    figures : caption to figure.
    animation : a GIF.
    """
    n = summary["n_states"]
    body = [
        f'<p class="file">{escape(title)}</p>',
        f"<h1>{n} {'state' if n == 1 else 'states'} of {summary['n_windows']} windows</h1>",
        warnings_part(summary.get("warnings") or ()),
        facts_part(_facts(summary)),
        _states(summary),
        facts_part(_movie(summary["movie"])) if summary.get("movie") else "",
        *(_transitions(summary["movie"]) if summary.get("movie") else ()),
        *(figure_part(caption, figure) for caption, figure in figures.items()),
        _animation(animation, int(summary["latent"])),
    ]
    return whole_page(body, title=title)


def _facts(summary: Mapping[str, Any]) -> dict[str, str]:
    units = escape(str(summary["units"]))
    out = summary["n_left_out"]
    return {
        "Atoms": f"{summary['n_looked_at']} of {summary['n_atoms']} looked at; the windows of {out} are not whole",
        "Window": f"{summary['window']}&nbsp;{units}, {' x '.join(map(str, summary['window_px']))}&nbsp;px",
        "Latent numbers": f"{summary['latent']}, whatever the "
        + (", ".join(escape(str(each)) for each in summary["invariances"]) or "pose is not"),
        "Lower bound of the log likelihood": f"{summary['figures'].get('val_elbo', 'unknown')} a window, held out",
        "Gaussians": f"{summary['n_gaussians']} describe the latent numbers; {summary['n_states']} after those without "
        "a valley between them are joined",
    }


def _states(summary: Mapping[str, Any]) -> str:
    rows = [
        (each["state"], each["n"], f"{100 * each['n'] / summary['n_windows']:.1f} %",
         ", ".join(f"{z:.2f}" for z in each["centre"]))
        for each in summary["states"]
    ]  # fmt: skip
    return _table("States", ("state", "windows", "share", "centre"), rows)


def _movie(movie: Mapping[str, Any]) -> dict[str, str]:
    moved, time = movie["diffusion"], movie["frame_time_s"]
    unit = "s" if time else "frames"
    lives = "; ".join(
        f"state {each['class']}: {_interval(each['lifetime'], each['lifetime_low'], each['lifetime_high'])} {unit}"
        for each in movie["lifetimes"]
    )
    return {
        "Frames": f"{movie['n_frames']}" + (f", one each {time:.4g}&nbsp;s" if time else ", of unknown time"),
        "Tracks": f"{movie['n_tracks']}, in the median {movie['median_frames_of_a_track']} frames long",
        "Drift": f"at most {movie['drift']:.3g}",
        "Changes of state, hops": f"{movie['n_changes_of_state']}, {movie['n_hops']}",
        "Lifetimes": lives,
        "Diffusion": _interval(moved["coefficient"], moved["low"], moved["high"])
        + f" {escape(str(moved['unit']))}; places known to {_number(moved['position_std'])}",
    }


def _transitions(movie: Mapping[str, Any]) -> list[str]:
    """Tables of what was counted, and of what is left if states are misjudged now and then."""
    share, wrong = f"{100 * movie['confidence']:.0f} % intervals", f"{100 * (movie['misjudged'] or 0):.2g} %"
    return [
        _chances(
            f"Transitions from frame to frame, {share}", "seen", movie["transitions"], bool(movie["frame_time_s"])
        ),
        _chances(
            f"The same if states may be misjudged, as seems to be in {wrong} of the frames",
            "expected",
            movie["hidden_transitions"],
            bool(movie["frame_time_s"]),
        ),
    ]


def _chances(title: str, how: str, transitions: Iterable[Mapping[str, Any]], in_seconds: bool) -> str:
    rows = [
        (
            each["before"],
            each["after"],
            each["counts"],
            _interval(each["probability"], each["low"], each["high"]),
            "" if each["before"] == each["after"] else _interval(each["rate"], each["rate_low"], each["rate_high"]),
        )
        for each in transitions
        if each["counts"]
    ]
    return _table(title, ("from", "to", how, "probability", f"rate [1/{'s' if in_seconds else 'frame'}]"), rows)


def _number(value: float | None) -> str:
    return "any" if value is None else f"{value:.3g}"


def _interval(value: float | None, low: float | None, high: float | None) -> str:
    return f"{_number(value)} ({_number(low)} to {_number(high)})"


def _table(title: str, heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<section><h2>{escape(title)}</h2><div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></section>"
    )


def _animation(gif: bytes, latent: int) -> str:
    text = f"Along each latent number (z1 to z{latent}, from left to right), from -2 to 2 and back, the others at 0"
    source = f"data:image/gif;base64,{b64encode(gif).decode('ascii')}"
    return f'<figure><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'
