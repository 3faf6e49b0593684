"""Style of the figures, and how they are shown: SVG and PDF that are equal byte for byte if nothing has
changed.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Mapping

import matplotlib
import seaborn as sns
from matplotlib.figure import Figure

from lib.book import kernels, markdown, sources
from lib.book.figures import canvas
from lib.book.figures.colours import alpha_colour
from lib.book.figures.curves import LAYER_LABEL, curve_with_range, emphasised, label_ends
from lib.book.figures.keys import alpha_key, curve_key
from lib.runs import provenance
from lib.training.training import Training

# what a chapter's own figures are drawn with has its names here, too
__all__ = [
    "LAYER_LABEL",
    "alpha_colour",
    "alpha_key",
    "curve_key",
    "curve_with_range",
    "emphasised",
    "label_ends",
    "setup",
    "show",
]

matplotlib.use("agg", force=False)


def setup() -> None:
    """Set the style of all figures of a chapter and make them reproducible; call it once, before drawing."""
    os.environ["SOURCE_DATE_EPOCH"] = kernels.EPOCH  # read when a figure is saved
    # from matplotlib's own defaults, whatever a matplotlibrc says; but figures may be open in the backend
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", matplotlib.MatplotlibDeprecationWarning)
        for name, usual in matplotlib.rcParamsDefault.items():
            if name not in ("backend", "interactive"):
                matplotlib.rcParams[name] = usual
    sns.set_theme(context="notebook", style="ticks", font="DejaVu Sans", font_scale=0.95)
    matplotlib.rcParams |= {
        "svg.hashsalt": "selectivity-book",
        "figure.figsize": (7, 4),
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    try:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        # HTML takes the one, LaTeX the other
        set_matplotlib_formats("svg", *([] if os.environ.get(kernels.FOR_PAGES) else ["pdf"]))
    except (ImportError, AttributeError):
        pass  # outside a notebook


def show(
    figure: Figure,
    *,
    name: str,
    alt: str,
    caption: str,
    read: Mapping[Training, tuple[str, ...]] | None = None,
    source: str = "",
) -> None:
    """Display a figure with its alt text and caption, which may contain numbers, and below it a fold-out that
    names the runs it was made from.

    `notebooks` moves alt text and caption to where the book looks for them, and so the figure as it is
    drawn for a narrow page.

    Args:
        name: Label that other pages refer to, such as "fig-selectivity".
        alt: One sentence on what is seen, and in which direction.
        read: Runs that the figure is made from, and what of each; from `chapter.Parameters.read`.
        source: File of the project that the numbers are from, if they are from no run.

    Raises:
        InputError: For a figure without runs and without a source.
    """
    from IPython.display import display
    from matplotlib import pyplot

    simulated = provenance.simulations_so_far()
    made = sources.bundle(name, read or {}, simulated=simulated, source=source)
    canvas.untangle(figure)
    small = canvas.narrow(figure)
    # captions are Markdown, which lets HTML through
    words = {"alt": " ".join(alt.split()), "caption": markdown.without_html(" ".join(caption.split()))}
    if small is not None:
        words["narrow"] = _svg(small)
    display(figure, metadata={"figure": {"name": name} | words})
    display(made, raw=True)
    pyplot.close(figure)


def _svg(figure: Figure) -> str:
    """A figure as SVG, equal byte for byte if nothing has changed."""
    canvas.untangle(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    return buffer.getvalue().decode()
