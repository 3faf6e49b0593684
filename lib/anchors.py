"""A Sphinx extension: the folded code of every figure gets a name, so that what stands below the figure can lead to it."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx


def name_code(app: Sphinx, doctree: nodes.document) -> None:
    """Give the input of a cell that shows the figure "fig-x" the id "fig-x-code"; browsers unfold it when a link leads there."""
    for cell in doctree.findall(lambda node: isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"):
        drawn = [name for figure in cell.findall(nodes.figure) for name in figure["ids"]]
        code = next(cell.findall(lambda node: isinstance(node, nodes.Element) and node.get("nb_element") == "cell_code_source"), None)
        if drawn and code is not None:
            code["ids"].extend(f"{name}-code" for name in drawn)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", name_code)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
