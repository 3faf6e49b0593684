"""The alphas that a reader adds to those of a chapter, and their colours: no alpha of the book has one of
them, so that what is new is seen in every figure.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the command line checks parameters too, and draws nothing
    from matplotlib.text import Text

# from dark to light: lightness tells several apart, and the hue tells them from the blue, black and orange
# of the book's own, with any of the common colour blindnesses
_DARK, _LIGHT = (0.50, 0.00, 0.62), (0.90, 0.45, 0.98)
_ONE = 0.4  # how light a single one is
_asked: tuple[float, ...] = ()


def ask(alphas: Iterable[float]) -> None:
    """Set which alphas are a reader's own, for all figures of this process."""
    global _asked
    _asked = tuple(sorted({float(alpha) for alpha in alphas}))


def is_own(alpha: float) -> bool:
    """Whether a reader has added this alpha to those of the chapter."""
    return alpha in _asked


def colour(alpha: float) -> tuple[float, float, float, float] | None:
    """Colour (RGBA, each in [0, 1]) of an alpha that is a reader's own; None for one of the chapter's."""
    if not is_own(alpha):
        return None
    place = _asked.index(alpha) / (len(_asked) - 1) if len(_asked) > 1 else _ONE
    red, green, blue = (dark + place * (light - dark) for dark, light in zip(_DARK, _LIGHT, strict=True))
    return red, green, blue, 1.0


def emphasise(labels: Iterable[Text], alphas: Sequence[float]) -> None:
    """Write the labels of own alphas in bold and in their colours; the others stay.

    Args:
        labels: Labels of ticks or of a legend.
        alphas: The alpha of each, in the same order.
    """
    for label, alpha in zip(labels, alphas, strict=True):
        if found := colour(alpha):
            label.set(color=found, fontweight="bold")


def added(cells: Iterable[str], alphas: Iterable[float]) -> list[float]:
    """The alphas that a chapter was given beyond the default that it declares.

    Args:
        cells: Sources of the cells that were run, the cell of parameters among them.
        alphas: What the chapter shows.

    Returns:
        None of them where no cell declares a default.
    """
    for cell in cells:
        if "alphas: " in cell:
            return sorted(set(alphas) - set(_default(cell) or alphas))
    return []


def _default(cell: str) -> Any:
    """The list that a cell declares as `alphas`; None if it does not."""
    try:
        for node in ast.parse(cell).body:
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "alphas" and node.value:
                return ast.literal_eval(node.value)
    except (SyntaxError, ValueError):  # magic commands of IPython, and lists that are computed
        pass
    return None
