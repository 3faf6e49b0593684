"""Which networks the chapter on purification in image networks is about, and what it calls them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

import pandas as pd

from lib import runs
from lib.base.errors import InputError, unknown
from lib.base.text import number
from lib.book.grid import Parameters
from lib.measurements import MEASUREMENTS, Asked
from lib.measurements.purification import PURIFIED
from lib.papers.purification_images import ALEXNET, SELECTIVE
from lib.purification.weights import chance_share
from lib.training.training import Training

RADIUS = float(str(MEASUREMENTS["perturbation"].settings["radius"]))  # of perturbations, L2: the tables' own
# What goes on from a plain network, by the name that the rules have for it.
WAYS = {"control": "plain", "adversarial": PURIFIED, "weaker": "pgd-3-linf-4", "l2": "l2-pgd-3-0.5"}
# The same at three times the rate: how much of a change is the rate's.
HIGH = {"control_high": "plain", "adversarial_high": PURIFIED}
# What every claim is about, and what a reader can ask for beside that and the networks of an α.
ALWAYS = ("parent", "control", "adversarial")
ASKED = ("weaker", "l2", *HIGH, "scratch")
_NAMES = {
    "parent": "plain",
    "control": "control",
    "adversarial": "L∞ 8/255",
    "weaker": "L∞ 4/255",
    "l2": "L2 0.5",
    "scratch": "L∞ 8/255 from the start",
    "control_high": "control, rate × 3",
    "adversarial_high": "L∞ 8/255, rate × 3",
}


def _of_alpha(alpha: float) -> str:
    """The name of what goes on with an α: that of the rules, which are about one α, or its own."""
    return "selective" if alpha == SELECTIVE else f"alpha {alpha:g}"


def check_networks(asked: Iterable[object]) -> tuple[str, ...]:
    """The names of networks that a chapter is asked for beside those of `ALWAYS`, each once.

    Raises:
        InputError: For a name that is none of `ASKED`.
    """
    found = tuple(dict.fromkeys(asked))
    for name in found:
        if name not in ASKED:
            raise unknown("network", name, ASKED)
    return found  # type: ignore[return-value]  # names of ASKED


def networks(here: Parameters, asked: Collection[str] = ASKED) -> dict[Training, str]:
    """The plain networks of a chapter's seeds, what goes on from them, some of it at a higher rate too, and
    what is trained on perturbed images from the same first weights; by what each is called in the rules.
    α = 0 is the control.

    Args:
        here: Parameters of the grid; for each α but 0 one network goes on from each plain one.
        asked: Which of `ASKED` beside those of `ALWAYS`.

    Raises:
        InputError: For a name that is none of `ASKED`.
    """
    shown = {*ALWAYS, *check_networks(asked)}
    found: dict[Training, str] = {}
    parents = runs.grid(
        dataset=here.dataset, model=here.model, alphas=[0.0], seeds=here.seeds, recipe=here.recipe
    )
    for parent in parents:
        further = replace(parent, recipe="tune", start=parent)
        found[parent] = "parent"
        found |= {replace(further, variant=variant): name for name, variant in WAYS.items()}
        found |= {replace(further, alpha=alpha): _of_alpha(alpha) for alpha in here.alphas if alpha}
    for parent in parents:
        further = replace(parent, recipe="tune-high", start=parent)
        found |= {replace(further, variant=variant): name for name, variant in HIGH.items()}
    for parent in parents:
        found[replace(parent, variant=PURIFIED, epochs=parent.settings.epochs // 2)] = "scratch"
    # an α stands as it is asked for
    return {one: name for one, name in found.items() if name in shown or name not in _NAMES}


def names(here: Parameters) -> dict[str, str]:
    """What readers see in place of the names of `networks`."""
    alphas = {_of_alpha(alpha): f"α = {number(alpha)}" for alpha in here.alphas if alpha}
    return _NAMES | alphas


def check_radius(radius: object) -> float:
    """The length of the perturbations that are compared.

    Raises:
        InputError: For anything but a number above 0.
    """
    if isinstance(radius, bool) or not isinstance(radius, int | float) or not 0 < radius < 1e3:
        raise InputError(f"parameter 'radius' must be an L2 length above 0, such as 0.5, got {radius!r}")
    return float(radius)


def wanted(
    here: Parameters, radius: float = RADIUS, asked: Collection[str] = ASKED
) -> dict[Asked, list[Training]]:
    """The tables that the chapter shows, and of which of its networks.

    Args:
        here: Parameters of the grid.
        radius: L2 length of the perturbations that it compares.
        asked: Which of `ASKED` beside those of `ALWAYS`.

    Raises:
        InputError: For a name that is none of `ASKED`, and for a radius that is not above 0.
    """
    radius = check_radius(radius)
    other = {name: (("radius", radius),) for name in ("perturbation", "pictures") if radius != RADIUS}
    named = networks(here, asked)
    further = [_of_alpha(alpha) for alpha in here.alphas if alpha]
    of = {
        "selectivity": [*_NAMES, *further],
        "weight_angles": [*_NAMES, *further],
        "low_rank": [*WAYS],
        "perturbation": ["parent", *WAYS],
        "reconstruction": ["parent", *WAYS],
        "pictures": ["parent", *WAYS],
        "alignment": ["control", "weaker", "l2", *further],
    }
    return {
        Asked(measurement, other.get(measurement, ())): [one for one, name in named.items() if name in some]
        for measurement, some in of.items()
    }


def random_tenths(angles: pd.DataFrame) -> pd.DataFrame:
    """What `by_tenths` of the papers would count of random directions: one row per convolution, with its
    columns; NaN for pairs, whose mean over a layer has another distribution.

    Args:
        angles: Table `weight_angles`, with the columns place, convolution and inputs.
    """
    bins = {"near": (0.0, 0.1), "next": (0.1, 0.2)}
    tops = {6: ".7", 7: ".8", 8: ".9", 9: "1"}
    bins |= {f"kept .{low}-{top}": (low / 10, (low + 1) / 10) for low, top in tops.items()}
    layers = angles[["place", "convolution", "inputs"]].drop_duplicates().sort_values("place")
    return pd.DataFrame([
        {"network": "random", "layer": one.convolution}
        | {name: 100 * chance_share(int(one.inputs), *ends) for name, ends in bins.items()}
        for one in layers.itertuples()
    ]).reindex(columns=["network", *ALEXNET])
