"""A network as the list of its affine maps, sums and ReLUs, read off its code by torch.fx.

The network is not changed and none of its weights is copied, so that bounds follow a network through its
training. torch.fx was chosen over walking through the modules, because what a block adds, pads or averages
stands in its `forward` alone; and over the exporters of torch, because it needs no example, keeps the names
of layers, and is what `lib.models.fuse` reads networks by.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, fx, nn

from lib.base.errors import InputError
from lib.certificates import layers
from lib.certificates.layers import Affine, Combine, Layer, Relu, Unsupported, refused
from lib.certificates.writes import written_over
from lib.models.activations import still

PROBES = 3  # images on which the reading must agree with the network

_T = TypeVar("_T")


@dataclass(frozen=True)
class Step:
    """One layer.

    Attributes:
        name: The layer's name in the network where it is a module, else that of the operation.
        kind: Its class or function, for messages.
        inputs: Numbers of the values it takes: 0 for the pixels, i for what step i - 1 puts out.
        layer: What it does.
    """

    name: str
    kind: str
    inputs: tuple[int, ...]
    layer: Layer


@dataclass(frozen=True)
class Reading:
    """All steps of a network, in an order in which they can be taken; the last one puts out the logits."""

    steps: tuple[Step, ...]

    def walk(
        self,
        pixels: _T,
        affine: Callable[[Affine, _T], _T],
        combine: Callable[[Combine, _T, _T], _T],
        relu: Callable[[_T], _T],
    ) -> list[_T]:
        """Carry something through the network.

        Args:
            pixels: What is known of the pixels, such as a centre and a half-width.
            affine, combine, relu: What becomes of it in each kind of layer.

        Returns:
            What is known of the pixels, and after each step.

        Raises:
            InputError: For a layer that mixes the images of a batch.
        """
        found = [pixels]
        for step in self.steps:
            taken = [found[number] for number in step.inputs]
            try:
                if isinstance(step.layer, Affine):
                    found.append(affine(step.layer, *taken))
                elif isinstance(step.layer, Combine):
                    found.append(combine(step.layer, *taken))
                else:
                    found.append(relu(*taken))
            except Unsupported as why:
                raise refused(step.name, step.kind, str(why)) from None
        return found

    def values(self, pixels: Tensor) -> list[Tensor]:
        """The pixels, and what each step puts out."""
        return self.walk(
            pixels,
            lambda layer, x: layer.apply(x),
            lambda layer, a, b: a + layer.sign * b,
            lambda x: x.relu(),
        )

    @property
    def relus(self) -> list[int]:
        """Numbers of what the ReLUs put out, in the order of the forward pass."""
        return [number for number, step in enumerate(self.steps, 1) if isinstance(step.layer, Relu)]


def _title(network: nn.Module, node: fx.Node) -> tuple[str, str]:
    """Name and kind of a node of the graph."""
    if node.op == "call_module":
        return str(node.target), type(network.get_submodule(str(node.target))).__name__
    return node.name, node.target if isinstance(node.target, str) else getattr(
        node.target, "__name__", str(node.target)
    )


class _Reader:
    """The steps found so far, and which node became which value."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.steps: list[Step] = []
        self.numbers: dict[fx.Node, int] = {}  # nodes that depend on the pixels
        self.constants: dict[fx.Node, object] = {}  # nodes that do not
        self.lengths: set[fx.Node] = set()  # nodes that hold the number of images

    def take(self, node: fx.Node) -> None:
        """Read one node of the graph."""
        if node.op == "placeholder":
            if self.numbers:
                raise InputError(f"a network must take images alone; {node.target!r} is its second argument")
            self.numbers[node] = 0
        elif node.op == "get_attr":
            value = self.network
            for part in str(node.target).split("."):
                value = getattr(value, part)
            self.constants[node] = value
        elif not any(one in self.numbers or one in self.lengths for one in node.all_input_nodes):
            self.constants[node] = self._computed(node)
        elif not self._counts(node):
            try:
                layer, taken = self._layer(node)
            except Unsupported as why:
                raise refused(*_title(self.network, node), str(why)) from None
            if not isinstance(layer, int):
                self.steps.append(Step(*_title(self.network, node), tuple(taken), layer))
                layer = len(self.steps)
            self.numbers[node] = layer

    def _computed(self, node: fx.Node) -> object:
        """The value of a node that does not depend on the pixels."""
        args, options = fx.node.map_arg(
            (node.args, node.kwargs),
            lambda one: self.constants[one],  # type: ignore[arg-type,return-value]
        )
        if node.op == "call_function" and callable(node.target):
            return node.target(*args, **options)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **options)
        raise refused(*_title(self.network, node), "it does not take the images")

    def _counts(self, node: fx.Node) -> bool:
        """Whether a node asks for the number of images, x.size(0) or x.shape[0], as reshaping does."""
        source = node.args[0] if node.args else None
        if not isinstance(source, fx.Node):
            return False
        asked = (node.target, *node.args[1:])
        if (source in self.numbers and asked in ((getattr, "shape"), ("size", 0))) or (
            source in self.lengths and asked == (operator.getitem, 0)
        ):
            self.lengths.add(node)
        return node in self.lengths

    def _layer(self, node: fx.Node) -> tuple[Layer | int, list[int]]:
        """The layer of a node, with the numbers of the values it takes; or the number of the value into which
        it was folded.
        """
        taken = [self.numbers[one] for one in node.args if isinstance(one, fx.Node) and one in self.numbers]
        if node.op == "call_module":
            return self._module(node, taken)
        kind = layers.sign(node.target)
        if kind is not None and len(node.args) == 2 and not node.kwargs:
            if len(taken) == 2:
                return layers.combined(kind), taken
            first = node.args[1] in self.numbers
            constant = node.args[0] if first else node.args[1]
            return layers.with_constant(kind, self.constants.get(constant, constant), first=first), taken  # type: ignore[arg-type]
        if node.op == "call_method" and node.target in ("view", "reshape"):
            shape = node.args[1] if len(node.args) == 2 and isinstance(node.args[1], tuple) else node.args[1:]
            if shape[:1] and shape[0] in self.lengths and all(isinstance(one, int) for one in shape[1:]):
                return layers.reshape(*shape[1:]), taken
            raise Unsupported("its first length must be that of the batch, x.size(0)")
        make = layers.FUNCTIONS.get(node.target)
        if make is None or len(taken) != 1 or len(node.all_input_nodes) != 1:
            raise Unsupported
        try:
            return make(*node.args[1:], **node.kwargs), taken
        except TypeError as wrong:  # arguments that it does not know
            raise Unsupported(str(wrong)) from None

    def _module(self, node: fx.Node, taken: list[int]) -> tuple[Layer | int, list[int]]:
        module = self.network.get_submodule(str(node.target))
        if type(module) not in layers.MODULES or len(taken) != 1 or len(node.all_input_nodes) != 1:
            raise Unsupported
        if type(module) is nn.BatchNorm2d and (folded := self._folded(node, module, taken[0])):
            return folded, taken
        return layers.MODULES[type(module)](module), taken

    def _folded(self, node: fx.Node, norm: nn.BatchNorm2d, source: int) -> int | None:
        """The number of the convolution before a batch norm, once it has taken the batch norm in; None where
        something else needs that convolution's own values.
        """
        before = node.all_input_nodes[0]
        if before.op != "call_module" or len(before.users) > 1:
            return None
        convolution = self.network.get_submodule(str(before.target))
        if type(convolution) is not nn.Conv2d:
            return None
        layers.batch_norm(norm)  # refuses one that normalises by the batch
        step = self.steps[source - 1]
        self.steps[source - 1] = Step(
            step.name, step.kind, step.inputs, layers.convolution(convolution, norm)
        )
        return source


def _finite(network: nn.Module) -> None:
    for name, value in [*network.named_parameters(), *network.named_buffers()]:
        if not value.isfinite().all():
            raise InputError(
                f"{name!r} of the network is not finite, as after a training that diverged; such a network "
                f"has no bounds"
            )


def read(network: nn.Module) -> Reading:
    """Read a network as it is in evaluation mode, batch norm folded into the convolution before it.

    The weights of its layers are looked up at each use, in the precision of the images; other constants, such
    as those of a normalisation, are taken as they are now.

    Args:
        network: A module that maps pixels (n, c, h, w) to logits (n, classes).

    Raises:
        InputError: For a layer without bounds, which is named; a network that cannot be traced; or one with
            weights that are not finite.

    Example:
        >>> steps = read(nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))).steps
        >>> [(step.name, step.inputs) for step in steps]
        [('0', (0,)), ('1', (1,)), ('2', (2,)), ('3', (3,))]
    """
    if not isinstance(network, nn.Module):
        raise InputError(f"bounds are read off a torch.nn.Module, got {type(network).__name__}")
    _finite(network)
    with still(network):
        try:
            graph = fx.symbolic_trace(network).graph
        # tracing runs the network's own code, which may raise anything
        except Exception as wrong:  # noqa: BLE001
            raise InputError(
                f"the network cannot be read, since what it does depends on the images: {_line(wrong)}"
            ) from wrong
        for node in written_over(network, graph):
            raise refused(*_title(network, node), "it writes over a value that is read again")
        graph.eliminate_dead_code()
        reader, last = _Reader(network), None
        for node in graph.nodes:
            if node.op == "output":
                last = node.args[0]
            else:
                reader.take(node)
    if not isinstance(last, fx.Node) or reader.numbers.get(last) is None:
        raise InputError("a network must put out one tensor of logits, made from the images")
    return Reading(tuple(reader.steps[: reader.numbers[last]]))


def _line(wrong: Exception) -> str:
    """An exception in one line."""
    return " ".join(str(wrong).split())[:200] or type(wrong).__name__


def precision(network: nn.Module, pixels: Tensor) -> torch.dtype:
    """The wider of the dtypes of images and weights, in which bounds are computed."""
    weights = next((one.dtype for one in network.parameters()), pixels.dtype)
    return torch.promote_types(weights, pixels.dtype)


@torch.no_grad()
def agreeing(network: nn.Module, pixels: Tensor) -> Reading:
    """Read a network, and compare what was read with what the network does.

    Hooks, or layers that write over their input, may make a network do something else than its layers say;
    bounds would then be of another network.

    Args:
        pixels: Images (n, c, h, w) float in [0, 1]; the first few are compared.

    Raises:
        InputError: As `read`; if the logits are not (n, classes), not finite, or not what was read.
    """
    reading = read(network)
    some = pixels[:PROBES]
    mine = reading.values(some.to(precision(network, pixels)))[-1]  # refuses what mixes images
    with still(network):
        weights = next((one.dtype for one in network.parameters()), pixels.dtype)
        own = network(some.to(weights, copy=True))  # it may write over its images
    if not isinstance(own, Tensor) or own.ndim != 2 or len(own) != len(some):
        got = tuple(own.shape) if isinstance(own, Tensor) else type(own).__name__
        raise InputError(f"a network must map {len(some)} images to logits ({len(some)}, classes), got {got}")
    if not own.isfinite().all():
        raise InputError(
            "the network's logits are not finite, as after a training that diverged; it has no bounds"
        )
    tolerance = torch.finfo(own.dtype).eps ** 0.5  # half the digits
    if mine.shape != own.shape or not (mine - own).norm() <= tolerance * own.norm() + tolerance:
        raise InputError(
            "the network puts out other logits than its layers say, as with hooks that change them or layers "
            "that write over their input; it has no bounds"
        )
    return reading
