"""Layers that write over their input. A network is read as if every layer put out a value of its own, so such
a layer may be read only where nobody looks at what it has written over afterwards.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import fx, nn

_ASSIGNING = (operator.iadd, operator.isub, operator.imul, operator.itruediv)
# what puts out memory of its own; anything else may put out that of its input
_FRESH_MODULES = (
    nn.Conv2d,
    nn.Linear,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.ReLU,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.ZeroPad2d,
)
_FRESH = (
    F.relu,
    torch.relu,
    "relu",
    F.pad,
    F.avg_pool2d,
    F.adaptive_avg_pool2d,
    torch.mean,
    "mean",
    operator.add,
    torch.add,
    "add",
    operator.sub,
    torch.sub,
    "sub",
    operator.mul,
    torch.mul,
    "mul",
    operator.truediv,
    torch.div,
    "div",
)


def _over(network: nn.Module, node: fx.Node) -> fx.Node | None:
    """The node over whose value a node writes, if any."""
    out = node.kwargs.get("out")
    if isinstance(out, fx.Node):
        return out
    if node.op == "call_module":
        module = network.get_submodule(str(node.target))
        # in evaluation mode a dropout leaves its input alone
        writes = getattr(module, "inplace", False) and not isinstance(module, nn.Dropout | nn.Dropout2d)
    else:
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        writes = (
            node.target in _ASSIGNING
            or (name.endswith("_") and not name.endswith("__"))
            or bool(node.kwargs.get("inplace"))
            or (node.target is F.relu and len(node.args) > 1 and bool(node.args[1]))
        )
    written = node.args[0] if node.args else node.kwargs.get("input")
    return written if writes and isinstance(written, fx.Node) else None


def _fresh(network: nn.Module, node: fx.Node) -> bool:
    """Whether a node, which writes over nothing, puts out memory of its own."""
    if node.op == "call_module":
        return isinstance(network.get_submodule(str(node.target)), _FRESH_MODULES)
    return node.op in ("placeholder", "get_attr") or node.target in _FRESH


def _asks_of_form(node: fx.Node) -> bool:
    """Whether a node looks at the lengths of a tensor alone, which writing does not change."""
    return node.target in ("size", "dim") or (node.target is getattr and node.args[1:] == ("shape",))


def written_over(network: nn.Module, graph: fx.Graph) -> Iterator[fx.Node]:
    """The nodes of a graph that write over a value which is read again as if it were still there.

    Args:
        network: What the graph was traced from.
        graph: Before dead code is taken out of it: a layer whose result nobody takes still writes.
    """
    places = {node: place for place, node in enumerate(graph.nodes)}
    memory: dict[fx.Node, frozenset[fx.Node]] = {}  # of a node: the nodes that first put it out
    for node in graph.nodes:
        over = _over(network, node)
        if over is None and _fresh(network, node):
            memory[node] = frozenset([node])
        else:
            sources = node.all_input_nodes if over is None else [over]
            memory[node] = frozenset().union(*(memory[one] for one in sources))
    for node in graph.nodes:
        over = _over(network, node)
        if over is None:
            continue
        read_again = (
            one
            for later in graph.nodes
            if places[later] > places[node] and not _asks_of_form(later)
            for one in later.all_input_nodes
            if places[one] < places[node] and memory[one] & memory[over]
        )
        if next(read_again, None) is not None:
            yield node
