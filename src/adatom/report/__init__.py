"""Figures and pages: what one puts into a paper, and what one opens on a phone.

matplotlib is loaded when a figure is first asked for, not when this room is imported.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_ROOMS = {
    "draw_contact_sheet": "adatom.report.training_samples",
    "draw_decoded": "adatom.report.decoded",
    "draw_decomposition": "adatom.report.decomposition_figure",
    "draw_domains": "adatom.report.domain_map",
    "draw_particles": "adatom.report.particle_figures",
    "draw_sizes": "adatom.report.particle_figures",
    "write_particle_results": "adatom.report.particle_results",
    "draw_mixture": "adatom.report.mixture_figure",
    "write_distortions": "adatom.report.distortion_results",
    "write_unmixed": "adatom.report.unmixed_results",
    "draw_phases": "adatom.report.unmixed_figure",
    "draw_unmixed": "adatom.report.unmixed_figure",
    "draw_histograms": "adatom.report.histograms",
    "draw_dynamics": "adatom.report.dynamics_figures",
    "draw_tracks": "adatom.report.dynamics_figures",
    "draw_trajectories": "adatom.report.dynamics_figures",
    "draw_latent_map": "adatom.report.latent_figures",
    "draw_latents": "adatom.report.latent_figures",
    "draw_manifold": "adatom.report.latent_figures",
    "traversal_gif": "adatom.report.latent_figures",
    "write_exploration": "adatom.report.explorer_results",
    "draw_loss": "adatom.report.loss_curve",
    "draw_maps": "adatom.report.maps",
    "draw_match": "adatom.report.match_figure",
    "draw_overlay": "adatom.report.overlay",
    "draw_reliability": "adatom.report.reliability",
    "draw_samples": "adatom.report.training_samples",
    "draw_uncertainty": "adatom.report.uncertainty",
    "figure_png": "adatom.report.canvas",
    "render_report": "adatom.report.page",
    "write_analysis": "adatom.report.analysis_results",
    "write_pages": "adatom.report.results",
    "write_results": "adatom.report.results",
}
__all__ = [
    "draw_contact_sheet",
    "draw_decoded",
    "draw_decomposition",
    "draw_domains",
    "draw_dynamics",
    "draw_histograms",
    "draw_latent_map",
    "draw_latents",
    "draw_loss",
    "draw_manifold",
    "draw_maps",
    "draw_match",
    "draw_mixture",
    "draw_overlay",
    "draw_particles",
    "draw_phases",
    "draw_reliability",
    "draw_samples",
    "draw_sizes",
    "draw_tracks",
    "draw_trajectories",
    "draw_uncertainty",
    "draw_unmixed",
    "figure_png",
    "render_report",
    "traversal_gif",
    "write_analysis",
    "write_distortions",
    "write_exploration",
    "write_pages",
    "write_particle_results",
    "write_results",
    "write_unmixed",
]

if TYPE_CHECKING:
    from adatom.report.analysis_results import write_analysis
    from adatom.report.canvas import figure_png
    from adatom.report.decoded import draw_decoded
    from adatom.report.decomposition_figure import draw_decomposition
    from adatom.report.distortion_results import write_distortions
    from adatom.report.domain_map import draw_domains
    from adatom.report.dynamics_figures import draw_dynamics, draw_tracks, draw_trajectories
    from adatom.report.explorer_results import write_exploration
    from adatom.report.histograms import draw_histograms
    from adatom.report.latent_figures import draw_latent_map, draw_latents, draw_manifold, traversal_gif
    from adatom.report.loss_curve import draw_loss
    from adatom.report.maps import draw_maps
    from adatom.report.match_figure import draw_match
    from adatom.report.mixture_figure import draw_mixture
    from adatom.report.overlay import draw_overlay
    from adatom.report.page import render_report
    from adatom.report.particle_figures import draw_particles, draw_sizes
    from adatom.report.particle_results import write_particle_results
    from adatom.report.reliability import draw_reliability
    from adatom.report.results import write_pages, write_results
    from adatom.report.training_samples import draw_contact_sheet, draw_samples
    from adatom.report.uncertainty import draw_uncertainty
    from adatom.report.unmixed_figure import draw_phases, draw_unmixed
    from adatom.report.unmixed_results import write_unmixed


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'adatom.report' has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS})
