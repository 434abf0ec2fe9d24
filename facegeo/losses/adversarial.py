"""The adversarial loss of Cas-FNE, Eq. (7), on the logits of a patch discriminator."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import softplus


class AdversarialLoss:
    r"""Binary cross entropy with logits, for generator and discriminator.

    .. math:: L_{adv} = \sum_{s=0}^{t} D_{adv}(\hat N_s)

    Cas-FNE, Eq. (7), names neither the cost nor what the discriminator learns from; both are
    ours: the original one of Goodfellow et al., 2014, the generator's in its non-saturating form.
    Every patch weighs the same; computed in float32 whatever autocast says.
    """

    def discriminator(self, real_logits: Tensor, fake_logits: Sequence[Tensor]) -> Tensor:
        """Return what the discriminator minimises: real as real plus the mean over fake stages.

        Args:
            real_logits: Its answer to true normals, shape (B, 1, h, w); above 0 means "real".
            fake_logits: Its answers to each stage's detached normals, same shape each.

        Returns:
            The loss, shape (), float32; 2 ln 2 for a discriminator that can not tell.

        Raises:
            ValueError: If there is no stage.
        """
        return _cost(real_logits, real=True) + _costs(fake_logits, real=False).mean()

    def generator(self, fake_logits: Sequence[Tensor]) -> Tensor:
        """Return what the generator minimises: each stage taken for real, summed over stages.

        Args:
            fake_logits: The discriminator's answers to each stage's normals, shape (B, 1, h, w).

        Returns:
            The loss, shape (), float32; ln 2 a stage where the discriminator can not tell.

        Raises:
            ValueError: If there is no stage.
        """
        return _costs(fake_logits, real=True).sum()


def _costs(logits: Sequence[Tensor], *, real: bool) -> Tensor:
    if not logits:
        raise ValueError("fake_logits must hold at least one stage, got none")
    return torch.stack([_cost(stage, real=real) for stage in logits])


def _cost(logits: Tensor, *, real: bool) -> Tensor:
    """Cross entropy of logits with one label: -ln sigmoid(x), or -ln (1 - sigmoid(x))."""
    wide = logits.float()
    return softplus(-wide if real else wide).mean()
