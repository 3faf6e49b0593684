"""The selectivity term of the loss: of one minibatch, or of the images of several in a row.

With as many classes as Tiny ImageNet has, a minibatch that a CPU can train on holds one image of a class or
none. Class means of so few images differ by chance, which the index reads as selectivity, and the term would
push against chance. The paper's minibatches have 4,096 images there.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import selectivity
from lib.training.recipe import Recipe


class OfMinibatch:
    """The term of each minibatch by itself."""

    def __init__(
        self,
        network: nn.Module,
        means: dict[str, Tensor],
        classes: int,
        alpha: float | Tensor,
        recipe: Recipe,
    ) -> None:
        """Make the term.

        Args:
            network: The network under training.
            means: Dictionary that `models.spatial_means` yields for it.
            classes: Number of logits.
            alpha: A number, or a () tensor if one captured step serves every alpha.
            recipe: The recipe of the training.
        """
        self.classes, self.alpha = classes, alpha

    def __call__(self, loss: Tensor, means: dict[str, Tensor], labels: Tensor) -> tuple[Tensor, Tensor]:
        """The loss minus alpha times mean selectivity, and mean selectivity without gradient.

        Args:
            means: {layer: (n, units)}; empty if selectivity is not even recorded.
            labels: (n,) int64.
        """
        if not means:
            return loss, loss.detach().new_zeros(())
        if isinstance(self.alpha, Tensor):
            si = selectivity.mean_selectivity(means, labels, self.classes)
            return loss - self.alpha * si, si.detach()
        # alpha = 0 is plain cross-entropy: selectivity is then recorded, not differentiated
        layers = means if self.alpha else {name: mean.detach() for name, mean in means.items()}
        si = selectivity.mean_selectivity(layers, labels, self.classes)
        return (loss - self.alpha * si if self.alpha else loss), si.detach()

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint must keep of it, by name."""
        return {}


class OfGroup:
    """The term of this minibatch and those before it, `recipe.group` in all.

    Each class's sum of activations is exact over the group: this minibatch's own, through which the gradient
    flows, and the sums that the others left, which are up to group - 1 steps old. The gradient is multiplied
    by the number of minibatches, so that over a group of steps it adds up to that of the term of all their
    images, as one step of a minibatch of that size would have it; were the network to stand still, exactly.
    The first minibatches of a training have fewer before them.
    """

    def __init__(
        self,
        network: nn.Module,
        means: dict[str, Tensor],
        classes: int,
        alpha: float | Tensor,
        recipe: Recipe,
    ) -> None:
        """Make the term, with nothing before the first minibatch; arguments as for `OfMinibatch`."""
        self.classes, self.alpha = classes, alpha
        device = next(network.parameters()).device
        before = recipe.group - 1  # type: ignore[attr-defined]  # of a ProgressiveRecipe
        self.sizes = _units(network, means)
        # of the minibatches before, oldest first; moved up by one at every step, since a place counted in
        # Python would stand still in a captured step
        self.sums = torch.zeros(before, classes, sum(self.sizes), device=device)
        self.counts = torch.zeros(before, classes, device=device)

    def __call__(self, loss: Tensor, means: dict[str, Tensor], labels: Tensor) -> tuple[Tensor, Tensor]:
        """As `OfMinibatch`, over the group, of which this minibatch becomes a part."""
        if not means:
            return loss, loss.detach().new_zeros(())
        members = F.one_hot(labels, self.classes).to(loss.dtype)  # (n, classes)
        own = members.T @ torch.cat(list(means.values()), 1)  # (classes, units)
        counts = self.counts.sum(0) + members.sum(0)
        # the value of `own`, and the gradient of as many minibatches as the group has so far
        weight = counts.sum() / len(labels)
        weighted = own.detach() + weight * (own - own.detach())
        centres = (self.sums.sum(0) + weighted) / counts.clamp(min=1)[:, None]
        present = counts > 0
        index = selectivity.selectivity_index(centres, present) * (present.sum() > 1)
        si = torch.stack([layer.mean() for layer in index.split(self.sizes)]).mean()
        self._keep(own.detach(), members.sum(0))
        differentiated = isinstance(self.alpha, Tensor) or self.alpha
        return (loss - self.alpha * si if differentiated else loss), si.detach()

    def _keep(self, sums: Tensor, counts: Tensor) -> None:
        for kept, new in ((self.sums, sums), (self.counts, counts)):
            kept.copy_(torch.cat([kept, new[None]])[1:])

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint must keep of it, by name: the sums and counts of the minibatches before."""
        return {"sums": self.sums, "counts": self.counts}


@torch.no_grad()
def _units(network: nn.Module, means: dict[str, Tensor]) -> list[int]:
    """Number of units of each ReLU layer; 0 layers if selectivity is not recorded."""
    mode, parameter = network.training, next(network.parameters())
    network.eval()(torch.zeros(1, 3, 32, 32, device=parameter.device))
    network.train(mode)
    sizes = [mean.shape[1] for mean in means.values()]
    means.clear()
    return sizes


# One entry per name that a recipe may ask for. Only the one in use counts in the fingerprint of a run's code.
REGULARISERS = {"minibatch": OfMinibatch, "group": OfGroup}  # type: dict[str, type[OfMinibatch] | type[OfGroup]]
