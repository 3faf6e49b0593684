"""Dimensionality of layers by PCA and TwoNN, and input-unit gradients, against the packages and loops that
people would use.

All on the clean test images and a trained ResNet20. The activations that scikit-learn and scikit-dimension
read are computed before. The forward pass has a case of its own, and the memory that a pass in batches saves
shows in none.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import lru_cache, partial

import torch
from torch import Tensor, nn

from benchmarks.harness import Case, Target, Work
from lib import data, models, runs
from lib.data.images import Images
from lib.dimensionality import Covariance, components, pca_dimension, twonn
from lib.gradients import input_unit_gradients
from lib.measurements.dimensionality import SHARES, _streamed
from lib.measurements.selectivity import spatial_activations
from lib.models.fuse import folded
from lib.training.training import Training

SAMPLES = 10_000  # images whose activations are computed before
BATCH = 125  # rows of activations per batch, as a forward pass gives them
WIDE = 2048  # width of ResNet50's last layers
PASSED = {"cpu": 1000, "cuda": 10_000}  # images of the forward pass
DIFFERENTIATED = 16  # images of the gradients: 688 units, each with a pass of its own
# allowed difference of a layer's lengths in all, as a share; and of each, as a share of the largest. A unit
# within rounding of 0 at some pixel fires on one side alone, which in float32 moved one length of ResNet20's
# by 0.06 %
TOLERANCE, EACH = {"float32": 1e-4, "bfloat16": 0.01}, 0.02
ESTIMATE = 0.02  # allowed difference of TwoNN, as a share


@lru_cache(maxsize=2)
def trained(device: str) -> tuple[nn.Module, Images]:
    """A trained ResNet20, and the test images on the CPU."""
    return runs.load(Training(alpha=0.0, recipe="fast")).to(device), data.load("cifar10", "test")[:SAMPLES]


# ---- Dimensions from activations that lie ready ------------------------------------------------------------


@lru_cache(maxsize=2)
def layers(device: str) -> dict[str, Tensor]:
    """{layer: (samples, units) float32} of all ReLU layers."""
    return spatial_activations(*trained(device))


@lru_cache(maxsize=1)
def wide(device: str) -> dict[str, Tensor]:
    """One layer as wide as ResNet50's last: random features of the last layer's units, so that no new network
    is needed.
    """
    generator = torch.Generator().manual_seed(0)
    some = list(layers(device).values())[-1]
    return {"wide": (some @ torch.randn(some.shape[1], WIDE, generator=generator)).relu()}


def streamed(device: str, ready: Callable[[str], dict[str, Tensor]] = layers) -> Work:
    """Batch by batch through our covariance; all three shares from one spectrum."""
    found = ready(device)

    def work() -> list[list[int]]:
        dimensions = []
        for activations in found.values():
            covariance = Covariance()
            for some in activations.split(BATCH):
                covariance.add(some)
            spectrum = covariance.spectrum()
            dimensions.append([components(spectrum, share) for share in SHARES])
        return dimensions

    return work


def stored(device: str, ready: Callable[[str], dict[str, Tensor]] = layers, *, solver: str = "auto") -> Work:
    """scikit-learn's PCA of all activations of a layer at once, and the three shares of its spectrum."""
    from sklearn.decomposition import PCA

    found = {layer: activations.numpy() for layer, activations in ready(device).items()}

    def work() -> list[list[int]]:
        shares = (
            PCA(svd_solver=solver).fit(activations).explained_variance_ratio_.cumsum()
            for activations in found.values()
        )
        return [[int((share < least).sum()) + 1 for least in SHARES] for share in shares]

    return work


def dimensions_parity(
    device: str, ready: Callable[[str], dict[str, Tensor]] = layers, *, solver: str = "auto"
) -> str | None:
    """The same numbers of components."""
    ours, theirs = streamed(device, ready)(), stored(device, ready, solver=solver)()
    for layer, mine, other in zip(ready(device), ours, theirs, strict=True):
        if mine != other:
            return f"{layer}: {mine} components for 90, 95 and 99 %, not {other}"
    return None


def our_twonn(device: str) -> Work:
    some = list(layers(device).values())[-1]
    return lambda: twonn(some)


def their_twonn(device: str) -> Work:
    from skdim.id import TwoNN

    some = list(layers(device).values())[-1].numpy()
    return lambda: float(TwoNN().fit(some).dimension_)


def twonn_parity(device: str) -> str | None:
    ours, theirs = our_twonn(device)(), their_twonn(device)()
    return None if abs(ours - theirs) <= ESTIMATE * theirs else f"dimension {ours:.3f}, not {theirs:.3f}"


# ---- Beside the forward pass -------------------------------------------------------------------------------


def _passed(device: str) -> tuple[nn.Module, Images]:
    """The network as `lib.measurements.dimensionality` has it, and the images it sees."""
    network, images = trained(device)
    some = images[: PASSED[device]]
    return folded(network, models.to_unit(some.pixels[:3].to(device))), some


def passes(device: str) -> Work:
    """Forward passes alone."""
    network, images = _passed(device)

    @torch.inference_mode()
    def work() -> None:
        for some in images.pixels.split(1000 if device == "cuda" else BATCH):
            network(models.to_unit(some.to(device)).contiguous(memory_format=torch.channels_last))

    return work


def passes_with_dimensions(device: str) -> Work:
    """The same with the dimensions of all layers."""
    network, images = _passed(device)
    return lambda: list(_streamed(network, images, torch.device(device)))


def passes_parity(device: str) -> str | None:
    """The same numbers of components as from activations of the network as it is, all at once."""
    network, images = trained(device)
    rows = {row["layer"]: row["components_95"] for row in passes_with_dimensions(device)()}
    for layer, activations in spatial_activations(network, images[: PASSED[device]]).items():
        if rows[layer] != pca_dimension(activations):
            return f"{layer}: {rows[layer]} components for 95 %, not {pca_dimension(activations)}"
    return None


# ---- Input-unit gradients ----------------------------------------------------------------------------------


def _differentiated(device: str) -> tuple[nn.Module, Tensor]:
    """A copy of the network, since loops leave gradients in it, and a batch of images."""
    network, images = trained(device)
    return copy.deepcopy(network), models.to_unit(images.pixels[:DIFFERENTIATED].to(device))


def our_gradients(device: str, *, precision: str) -> Work:
    network, x = _differentiated(device)
    return lambda: input_unit_gradients(network, x, precision=precision)


def looped_gradients(device: str) -> Work:
    """A hook, one forward pass and one `.backward()` for each unit, for the batch at once."""
    network, pixels = _differentiated(device)
    with models.spatial_means(network) as means, torch.no_grad():
        network(pixels)
        widths = {layer: mean.shape[1] for layer, mean in means.items()}

    def work() -> dict[str, Tensor]:
        lengths = {}
        for layer, width in widths.items():
            outputs: list[Tensor] = []
            hook = network.get_submodule(layer).register_forward_hook(
                lambda module, inputs, output, outputs=outputs: outputs.append(output)
            )
            columns = []
            for unit in range(width):
                network.zero_grad()
                outputs.clear()
                x = pixels.clone().requires_grad_()
                network(x)
                outputs[0].mean((2, 3))[:, unit].sum().backward()
                columns.append(x.grad.flatten(1).norm(dim=1))
            hook.remove()
            lengths[layer] = torch.stack(columns, dim=1)
        return lengths

    return work


def shared_gradients(device: str) -> Work:
    """One forward pass for all units, parameters without gradients, and one `torch.autograd.grad` per
    unit.
    """
    network, pixels = _differentiated(device)
    network.requires_grad_(False)

    def work() -> dict[str, Tensor]:
        x = pixels.clone().requires_grad_()
        with models.spatial_means(network) as means:
            network(x)
        lengths = {}
        for layer, mean in means.items():
            found = (
                torch.autograd.grad(mean[:, unit].sum(), x, retain_graph=True)[0]
                for unit in range(mean.shape[1])
            )
            lengths[layer] = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in found], dim=1)
        return lengths

    return work


def gradients_parity(device: str, *, precision: str, peer: Callable[[str], Work]) -> str | None:
    """Lengths layer by layer, in all and each."""
    ours, theirs = our_gradients(device, precision=precision)(), peer(device)()
    if list(ours) != list(theirs):
        return f"layers {', '.join(ours)}, not {', '.join(theirs)}"
    for layer, lengths in ours.items():
        apart = (lengths - theirs[layer]).abs()
        whole, most = float(apart.sum() / theirs[layer].sum()), float(apart.max() / theirs[layer].max())
        if not (whole <= TOLERANCE[precision] and most <= EACH):
            return f"{layer}: lengths are off by {whole:.2g} in all, by up to {most:.2g} of the largest"
    return None


def _pca(
    name: str,
    solver: str,
    peer_name: str,
    target: float,
    ready: Callable[[str], dict[str, Tensor]] = layers,
    repeats: int = 7,
) -> Case:
    return Case(
        name=name,
        ours=partial(streamed, ready=ready),
        peer=partial(stored, ready=ready, solver=solver),
        peer_name=peer_name,
        parity=partial(dimensions_parity, ready=ready, solver=solver),
        targets={"cpu": Target(target)},
        unit="ms",
        repeats=repeats,
    )


def _gradients(name: str, precision: str, peer: Callable[[str], Work], peer_name: str, target: float) -> Case:
    return Case(
        name=name,
        ours=partial(our_gradients, precision=precision),
        peer=peer,
        peer_name=peer_name,
        parity=partial(gradients_parity, precision=precision, peer=peer),
        targets={"cpu": Target(target)},
        unit="s",
        repeats=3,
    )


CASES = (
    _pca(
        "PCA dimension, all layers", "auto", "scikit-learn's PCA on stored activations, 16 to 64 units", 4.0
    ),
    _pca(
        "PCA dimension, all layers, by covariance",
        "covariance_eigh",
        "scikit-learn's PCA(svd_solver='covariance_eigh'), same",
        1.0,
    ),
    _pca(
        "PCA dimension, 2048 units", "auto", "scikit-learn's PCA on stored activations", 4.0, wide, repeats=3
    ),
    Case(
        name="PCA dimension beside its forward pass",
        ours=passes,
        peer=passes_with_dimensions,
        parity=passes_parity,
        peer_name="the same pass with the dimensions of all layers; ours: the pass alone",
        targets={"cpu": Target(2.0, at_most=True)},
        unit="share of the forward pass",
        repeats=5,
    ),
    Case(
        name="TwoNN",
        ours=our_twonn,
        peer=their_twonn,
        peer_name="scikit-dimension, 10,000 points of 64 units",
        parity=twonn_parity,
        targets={"cpu": Target(1.5)},
        unit="s",
        repeats=5,
        package="skdim",
    ),
    _gradients(
        "input-unit gradients, bfloat16",
        "bfloat16",
        looped_gradients,
        "a hook, a forward pass and a .backward() a unit, float32",
        5.0,
    ),
    _gradients(
        "input-unit gradients, float32",
        "float32",
        shared_gradients,
        "one forward pass, parameters frozen, autograd.grad a unit",
        1.0,
    ),
)
