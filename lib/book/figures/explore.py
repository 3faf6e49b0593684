"""All measures of the book over α: one set of numbers, drawn once for paper and once for a page with a
slider.
"""

from __future__ import annotations

import html
import json
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import LineStyleType

from lib.base.text import number
from lib.book.figures.canvas import NARROW, is_narrow, redrawn
from lib.book.figures.colours import alpha_colour
from lib.book.figures.curves import LAYER_LABEL, alpha_axis, emphasised
from lib.book.figures.keys import alpha_key
from lib.measurements.dimensionality import ATTACK, CORRUPTION, NONE
from lib.measurements.layers import dimensions as layers_dimensions
from lib.measurements.strengths import strengths_for

ID = "alpha-explorer"
# which `lib.book.site` lays into _static, of this page alone: the former has megabytes
SCRIPTS = ("plotly.min.js", "explorer.js")
_MARKERS = {"clean": "o", "corrupted": "s", "attacked": "D"}
_DASHES: dict[str, LineStyleType] = {NONE: "-", CORRUPTION: "--", ATTACK: ":"}
_CHANGES = {NONE: "clean images", CORRUPTION: "change by corruptions", ATTACK: "change by PGD"}


def _plain(values: Any) -> Any:
    """Numbers for JSON: six digits, null for NaN."""
    if isinstance(values, list | tuple | np.ndarray | pd.Series):
        return [_plain(value) for value in values]
    return None if pd.isna(values) else float(f"{values:.6g}")


def _by_layer(
    rows: pd.DataFrame, column: str, alphas: list[float], depths: list[int]
) -> list[list[float | None]]:
    """Means over seeds, one row per alpha, one column per layer."""
    wide = (
        rows
        .groupby(["alpha", "seed", "depth"])[column]
        .mean()
        .groupby(["alpha", "depth"])
        .mean()
        .unstack("depth")
    )
    return _plain(wide.reindex(index=alphas, columns=depths).to_numpy())


def explored(summary: pd.DataFrame, units: pd.DataFrame, dimensionality: pd.DataFrame) -> dict[str, Any]:
    """Numbers of the page, ready for JSON. Means are over the seeds that have the measurement.

    Args:
        summary: Result of `runs.tables.full_summary`.
        units: `selectivity` table of the same networks.
        dimensionality: Table of that name for some of these networks, or without any rows.

    Returns:
        A dictionary of plain values. alphas and colours are those of the palette, in ascending order of
        alpha. Each of measures has name, label, digits, unit, means and numbers of networks per alpha, the
        value and alpha of each network, and which networks and alphas are drawn hollow, by the column
        `ball_worst_doubtful`. depths and selectivity, as [alpha][layer], are means over all units of a layer.
        dimensionality is ``{change: [alpha][layer]}`` of the number of components for 95 % of the variance
        divided by the number of units, and empty if nothing is measured.
    """
    alphas, depths = sorted(set(summary.alpha)), sorted(set(units.depth))
    ball = f"{255 * strengths_for(summary.dataset.iloc[0]).ball:g}/255"
    columns = {
        "clean": ("clean_accuracy", "accuracy on clean images", 1, "%"),
        "corrupted": ("corrupted_accuracy", "accuracy on corrupted images", 1, "%"),
        "attacked": ("ball_worst", f"accuracy under attack, radius {ball}", 1, "%"),
        "selectivity": ("mean_selectivity", "mean class selectivity", 3, ""),
        "dimension": ("dimension_same", "dimensions over units, early layers", 3, ""),
    }
    measures = []
    for name, (column, label, digits, unit) in columns.items():
        values = summary[column].astype(float) * (100 if unit else 1)
        there, groups = values.notna(), values.groupby(summary.alpha)
        facts = {
            "means": _plain(groups.mean().reindex(alphas)),
            "networks": [int(n) for n in groups.count().reindex(alphas)],
        }
        points = {"values": _plain(values[there]), "at": _plain(summary.alpha[there])}
        doubtful = summary.get(f"{column}_doubtful", pd.Series(False, index=summary.index))
        doubts = {
            "doubtful": doubtful[there].tolist(),
            "hollow": (doubtful & there).groupby(summary.alpha).any().reindex(alphas).tolist(),
        }
        measures.append(
            {"name": name, "label": label, "digits": digits, "unit": unit} | facts | points | doubts
        )
    found = layers_dimensions(dimensionality) if len(dimensionality) else None
    changes = (
        {}
        if found is None
        else {
            change: _by_layer(found[found.change == change], "per_unit_95", alphas, depths)
            for change in _CHANGES
        }
    )
    return {
        "alphas": _plain(alphas),
        "colours": [to_hex(alpha_colour(alpha)) for alpha in alphas],
        "measures": measures,
        "depths": [int(depth) for depth in depths],
        "selectivity": _by_layer(units, "selectivity", alphas, depths),
        "dimensionality": changes,
        "changes": _CHANGES,
    }


def _numbers(values: list) -> np.ndarray:
    return np.array(values, dtype=float)  # null becomes NaN


def _legend_below(axes: Axes, handles: list[Line2D], columns: int) -> None:
    """A legend below a panel, in which lines leave no room."""
    place = (0.5, -0.2)
    axes.legend(
        handles=handles, frameon=False, fontsize=9, ncols=columns, loc="upper center", bbox_to_anchor=place
    )


@redrawn
def explorer(shown: dict[str, Any]) -> Figure:
    """The result of `explored` on paper: accuracies against alpha, selectivity and dimensionality by
    layer.
    """
    figure = Figure(figsize=(NARROW, 9.6) if is_narrow() else (9.0, 7.6), layout="constrained")
    places = figure.subplot_mosaic("A;B;C" if is_narrow() else "AA;BC")
    accuracy, selectivity, dimensions = (places[name] for name in "ABC")
    strong = emphasised(shown["alphas"])
    alphas, handles = shown["alphas"], []
    for measure in shown["measures"][:3]:
        marker = _MARKERS[measure["name"]]
        accuracy.plot(alphas, _numbers(measure["means"]), color="0.6", linewidth=1, zorder=1)
        colours = [alpha_colour(alpha) for alpha in measure["at"]]
        faces = [
            "white" if doubtful else colour
            for doubtful, colour in zip(measure["doubtful"], colours, strict=True)
        ]
        accuracy.scatter(
            measure["at"],
            measure["values"],
            facecolors=faces,
            edgecolors=colours,
            marker=marker,
            s=30,
            zorder=2,
            clip_on=False,
        )
        handles.append(
            Line2D(
                [],
                [],
                color="0.6",
                marker=marker,
                markerfacecolor="0.3",
                markeredgecolor="0.3",
                label=measure["name"],
            )
        )
    alpha_axis(accuracy, alphas)
    accuracy.set(ylabel="accuracy (%)", ylim=(0, 100), title="accuracy")
    _legend_below(accuracy, handles, 3)
    panels = {selectivity: {NONE: shown["selectivity"]}, dimensions: shown["dimensionality"]}
    for axes, lines in panels.items():
        for change, by_alpha in lines.items():
            for alpha, values in zip(alphas, by_alpha, strict=True):
                mark = "o" if change == NONE else ""
                axes.plot(
                    shown["depths"],
                    _numbers(values),
                    color=alpha_colour(alpha),
                    linestyle=_DASHES[change],
                    linewidth=1.5 if alpha in strong else 0.9,
                    alpha=1 if alpha in strong else 0.4,
                    marker=mark,
                    markersize=3 if alpha in strong else 1.5,
                )
        axes.set_xlabel(LAYER_LABEL)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.set_ylim(bottom=0)
    selectivity.set(ylabel="mean class selectivity\nof the layer", title="selectivity")
    dimensions.set(ylabel="components for 95 %\nof the variance / units", title="dimensionality")
    if shown["dimensionality"]:
        named = [
            Line2D([], [], color="0.3", linestyle=_DASHES[change], label=words)
            for change, words in _CHANGES.items()
        ]
        _legend_below(dimensions, named, 1)
    else:
        dimensions.text(0.5, 0.5, "not measured yet", ha="center", transform=dimensions.transAxes)
        dimensions.set(xlim=selectivity.get_xlim(), ylim=(0, 1))
    alpha_key(figure, alphas)
    return figure


def interactive(shown: dict[str, Any]) -> str:
    """The result of `explored` as HTML: a slider, a table of the values it points at, and places for three
    panels; hidden until its scripts have drawn them.
    """
    data = json.dumps(shown, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    rows = "".join(
        f'<tr><th scope="row">{html.escape(one["label"])}</th><td></td><td></td><td></td></tr>'
        for one in shown["measures"]
    )
    missing = (
        ""
        if shown["dimensionality"]
        else "<p>The dimensionality of these networks has not been measured yet.</p>"
    )
    middle = min(range(len(shown["alphas"])), key=lambda place: abs(shown["alphas"][place]))
    panels = "".join(
        f'<div class="panel" id="{ID}-{name}" role="img"></div>'
        for name in ("accuracy", "selectivity", "dimensionality")
    )
    return f"""<noscript><p>The slider needs scripts. The figure below holds the same numbers.</p></noscript>
<div class="{ID}" id="{ID}" hidden>
<script type="application/json" id="{ID}-data">{data}</script>
<div class="controls">
<label for="{ID}-alpha">selectivity scale α</label>
<button type="button" id="{ID}-lower" aria-label="lower α">−</button>
<input type="range" id="{ID}-alpha" min="0" max="{len(shown["alphas"]) - 1}" step="1" value="{middle}" autocomplete="off">
<button type="button" id="{ID}-higher" aria-label="higher α">+</button>
<output for="{ID}-alpha" id="{ID}-now"></output>
</div>
<p class="said" id="{ID}-said" role="status" aria-live="polite"></p>
<div class="values"><table class="table" id="{ID}-values"><thead>
<tr><th scope="col">mean over networks</th><th scope="col">here</th><th scope="col">against α = {number(shown["alphas"][middle])}</th>
<th scope="col">networks</th></tr></thead><tbody>{rows}</tbody></table></div>
<div class="panels">{panels}</div>{missing}
</div>
{"".join(f'<script defer src="../_static/{name}"></script>' for name in SCRIPTS)}"""


def show_interactive(shown: dict[str, Any]) -> None:
    """Display the page's interactive part; without its scripts, as in a notebook, nothing of it is
    visible.
    """
    from IPython.display import display

    display(
        {
            "text/html": interactive(shown),
            "text/plain": "Interactive on the book's pages; the figure below holds the same numbers.",
        },
        raw=True,
    )
