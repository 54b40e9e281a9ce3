"""The loss of a localising network: how unlikely its claims make the set of true atoms."""

import math

import torch
from torch import Tensor

from adatom.nets.claims import read_claims

# A true atom is explained by the claims of pixels up to so many away.
_REACH = 2
# Density [px^-2] of atoms that no claim explains: one that was overlooked costs much, but not without limit.
_UNEXPLAINED = 1e-6
# Which species an atom is counts so much more than the likelihood has it: places are learned first, species late.
_SPECIES_WEIGHT = 4.0
# The loss is stated for an area that holds about one atom [px^2].
_AREA = 30.0
# Columns of a table of true atoms.
IMAGE, SPECIES, X, Y, LOG_FLUX = range(5)


def point_process_loss(raw: Tensor, atoms: Tensor) -> Tensor:
    """Negative log-likelihood of the true atoms under the claims, for an area of 30 pixels.

    Parameters
    ----------
    raw : (n, channels, y, x) of a network, see `adatom.nets.claims`.
    atoms : (m, 5) number of the image, species, x, y [px], logarithm of the flux (NaN where unknown).

    Notes
    -----
    The claims make a density of atoms of species s with position and flux u, ``sum_k p_ks N(u; mu_k, sigma_k)``: a
    mixture over the pixels k. The atoms are taken for a marked point process of that density, so the loss has the
    logarithm of the density at each true atom. What it says of a pixel that is left without an atom is that of a coin
    thrown for each pixel, ``log(1 - p_k)``, weighted with the share of the pixel that no true atom takes. At the
    minimum, p_k is the expected number of atoms that pixel k explains, and sums of p are expected counts: nothing has
    to be rounded to a mask, and close atoms need no gap between them. With several species, the logarithm of the right
    one's share at the pixels that explain an atom is added once more, with a weight, which leaves the minimum where it
    is. The count, a normal distribution over the whole image in Speiser et al. 2021 (10.1038/s41592-021-01236-x), is
    local here, for images with hundreds of atoms.
    """
    n, channels, rows, columns = raw.shape
    flat = raw.movedim(1, -1).reshape(n * rows * columns, channels)
    log_background = read_claims(flat).log_probability[:, 0]
    image, species = atoms[:, IMAGE].long(), atoms[:, SPECIES].long()
    reach = torch.arange(-_REACH, _REACH + 1, device=raw.device)
    row = (atoms[:, Y].round().long()[:, None] + reach)[:, :, None]  # (m, 5, 1)
    column = (atoms[:, X].round().long()[:, None] + reach)[:, None, :]  # (m, 1, 5)
    inside = ((row >= 0) & (row < rows) & (column >= 0) & (column < columns)).flatten(1)  # (m, 25)
    row, column = row.clamp(0, rows - 1), column.clamp(0, columns - 1)
    pixel = ((image[:, None, None] * rows + row) * columns + column).flatten(1)
    claims = read_claims(flat.index_select(0, pixel.flatten()).unflatten(0, pixel.shape))
    log_p = claims.log_probability.gather(2, (1 + species)[:, None, None].expand(-1, pixel.shape[1], 1))[..., 0]
    true = torch.stack(
        [
            atoms[:, X, None] - column.expand(-1, row.shape[1], -1).flatten(1),
            atoms[:, Y, None] - row.expand(-1, -1, column.shape[2]).flatten(1),
            atoms[:, LOG_FLUX, None].expand(-1, pixel.shape[1]),
        ],
        dim=-1,
    )
    score = (true.nan_to_num() - claims.numbers) / claims.std
    log_density = -0.5 * score**2 - claims.std.log() - 0.5 * math.log(2 * math.pi)  # (m, 25, 3)
    log_density = log_density.masked_fill(true.isnan(), 0.0)
    joint = (log_p + log_density.sum(dim=-1)).masked_fill(~inside, -torch.inf)
    elsewhere = joint.new_full((len(joint), 1), math.log(_UNEXPLAINED))
    explained = torch.cat([joint, elsewhere], dim=1)
    with torch.no_grad():
        share = explained.softmax(dim=1)[:, :-1]
        taken = torch.zeros_like(log_background).index_add_(0, pixel.flatten(), share.flatten())
    nothing = ((1 - taken).clamp(min=0) * log_background).sum()
    of_atom = claims.log_probability[..., 1:].logsumexp(dim=-1)
    of_species = (share * (log_p - of_atom).masked_fill(~inside, 0.0)).sum()
    return -(explained.logsumexp(dim=1).sum() + nothing + _SPECIES_WEIGHT * of_species) * (_AREA / len(flat))
