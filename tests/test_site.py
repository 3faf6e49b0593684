"""The built book in a real browser: from the file system and from a plain web server, on a phone, in the
dark, without scripts, and on paper.
"""

import functools
import html
import importlib
import os
import pkgutil
import re
import subprocess
import sys
import threading
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from sphinx.util.inventory import InventoryFile

import lib
from lib.__main__ import main
from lib.base import paths
from lib.base.errors import InputError
from lib.book import browser, mending, pdf
from lib.book import site as book_site

NO_BROWSER = browser.missing()
in_browser = pytest.mark.skipif(
    bool(NO_BROWSER), reason=f"the pages are not tested in a browser: {NO_BROWSER}"
)
MOST_BYTES = 1_500_000  # bytes of the landing page, as transferred

# what axe-core may say of the theme and cannot be mended in lib/book/pages.py: {rule: reason}
THE_THEMES = {}


@pytest.fixture(scope="session")
def site(built) -> Path:
    return built / "html"


@pytest.fixture(scope="session")
def names(site) -> list[str]:
    """Every page: "index.html", "chapters/01-introduction.html", ..."""
    found = sorted(
        str(file.relative_to(site))
        for file in site.rglob("*.html")
        if "_static" not in file.relative_to(site).parts
    )
    assert "index.html" in found and "search.html" in found and len(found) > 8
    return found


# ---- what the files say ------------------------------------------------------------------------------------


# the names that others script against
PUBLIC = (
    "data.load", "models.build", "selectivity.class_selectivity", "corruptions.NAMES", "corruptions.corrupt", "attacks.fgsm", "attacks.pgd",
    "gradients.input_unit_gradients", "dimensionality.pca_dimension", "dimensionality.twonn", "runs.Training", "runs.load", "runs.table",
)  # fmt: skip


@pytest.fixture(scope="session")
def indexed(site) -> set[str]:
    """The names of Python that the reference describes."""
    with (site / "objects.inv").open("rb") as file:
        found = InventoryFile.load(file, "", lambda _, address: address)
    return {name for kind, some in found.items() if kind.startswith("py:") for name in some}


@pytest.mark.parametrize("name", PUBLIC)
def test_the_reference_has_every_name_that_others_rely_on(indexed, name):
    module, _, own = name.rpartition(".")
    thing = getattr(importlib.import_module(f"lib.{module}"), own)
    assert {
        f"lib.{name}",
        f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}",
    } & indexed


def test_the_reference_has_every_public_module(indexed):
    modules = {found.name for found in pkgutil.walk_packages(lib.__path__, "lib.") if "._" not in found.name}
    assert len(modules) > 60 and modules <= indexed


class Page(HTMLParser):
    """Ids, links, pictures and headings of a page."""

    def __init__(self, file: Path):
        super().__init__()
        self.ids, self.links, self.pictures, self.headings, self.icons = set(), [], [], [], set()
        self.inside = False  # of the article: the theme repeats the title outside of it
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.inside |= tag == "article"
        self.ids |= {given["id"]} if given.get("id") else set()
        self.icons |= set(re.findall(r"fa-[a-z-]+", given.get("class") or ""))
        self.links += [given[key] for key in ("href", "src", "action") if given.get(key)]
        if tag == "img":
            self.pictures.append(given)
        if re.fullmatch("h[1-6]", tag) and self.inside:
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag):
        self.inside &= tag != "article"


@pytest.fixture(scope="session")
def parsed(site, names) -> dict[str, Page]:
    return {name: Page(site / name) for name in names}


def test_every_link_anchor_and_picture_is_there(site, parsed):
    broken, anchors = [], {(site / name).resolve(): page.ids for name, page in parsed.items()}
    for name, page in parsed.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme in ("https", "http", "mailto", "data"):
                continue
            target = (
                ((site / name).parent / unquote(parts.path)).resolve()
                if parts.path
                else (site / name).resolve()
            )
            if not target.is_file() or (
                parts.fragment and target in anchors and unquote(parts.fragment) not in anchors[target]
            ):
                broken.append(f"{name}: {link}")
    assert broken == []


def test_every_figure_is_described_in_a_sentence_and_every_picture_says_something(parsed):
    pictures = [(name, picture) for name, page in parsed.items() for picture in page.pictures]
    assert len(pictures) >= 10
    for name, picture in pictures:
        alt = picture.get("alt") or ""
        assert alt and "_images" not in alt and Path(picture["src"]).name not in alt, f"{name}: {picture}"
        if picture["src"].endswith(".svg"):
            assert len(alt.split()) >= 10, f"{name}: {alt}"


def test_headings_begin_with_one_title_and_skip_no_level(parsed):
    for name, page in parsed.items():
        if name == "search.html":  # no article; axe looks at its headings
            continue
        assert page.headings.count(1) == 1 and page.headings[0] == 1, f"{name}: {page.headings}"
        assert all(
            after <= before + 1 for before, after in zip(page.headings, page.headings[1:], strict=False)
        ), f"{name}: {page.headings}"


def test_no_page_names_a_script_style_or_picture_elsewhere(site, names):
    for name in names:
        text = (site / name).read_text()
        loaded = re.findall(
            r'<(?:script|img|iframe|source|video)[^>]*\ssrc="((?:https?:)?//[^"]+)|<link[^>]*\shref="((?:https?:)?//[^"]+)',
            text,
        )
        assert not loaded, f"{name}: {loaded}"
        assert "unpkg.com" not in text and "cdn" not in re.sub(
            r"<article.*</article>", "", text, flags=re.DOTALL
        ), name


def test_every_icon_has_its_glyph(parsed):
    sheet = (paths.ROOT / "_static" / "book.css").read_text()
    used = set().union(*(page.icons for page in parsed.values())) - {"fa-solid", "fa-lg"}
    assert used and used <= set(re.findall(r"\.(fa-[a-z-]+)::before", sheet))


def test_each_mend_is_of_something_that_is_still_written_and_leaves_the_rest():
    page = (
        '<script>const THEBE_JS_URL = "https://a"; const b</script><script async="async" '
        'src="../_static/sphinx-thebe.js?v=1"></script><script type='
        "\"text/x-thebe-config\">{}</script> <script>kernelName = 'python3'</script><script defer "
        'src="_static/scripts/fontawesome.js?digest=1"></script>'
        '<div class="sidebar-primary-item"> <div id="ethical-ad-placement" class="flat"> '
        '</div></div><div role="list" class="citation-list">'
        '<div id="id1" role="doc-biblioentry"><table><th '
        'class="head"><p></p></th><th></th><th>α</th><td>short</td>'
        "<td>from −2 to 0: +3.8 points; 2 of 3 seeds</td></table>"
        '<details><summary><span class="toctree-toggle" role="presentation"></span></summary></details>'
    )
    kept = (
        '<div class="citation-list"><div id="id1"><table><td></td><td></td><th>α</th><td>short</td>'
        '<td class="prose">from −2 to 0: +3.8 points; 2 of 3 seeds</td></table>'
        '<details><summary aria-label="Pages below this one"><span class="toctree-toggle" '
        'role="presentation"></span></summary></details>'
    )
    assert mending.mended(page).strip() == kept
    assert mending.mended("<p>α < 0</p>") == "<p>α < 0</p>"
    inside = (
        ' id="LM-1"><td>CIFAR-10</td><p title="LM-2">LM-3, <code>--dataset</code>, a-b --- 1-2, PGD-40s, +6.5 %</p>'
        r"<pre>LM-4</pre><script>LM-5</script>\(LM-6\)"
    )
    said = mending.mended(f"<title>LM-7</title><article{inside}</article>LM-8")
    assert re.findall(r'<span class="whole">(.*?)</span>', said) == [
        "CIFAR-10",
        "LM-3",
        "--dataset",
        "+6.5 %",
    ]
    # the text is what it was, hyphens and blanks too
    assert re.sub(r"</?span[^>]*>", "", said) == f"<title>LM-7</title><article{inside}</article>LM-8"
    maths = (
        '<script>window.MathJax = {}</script><script defer="defer" '
        'src="_static/mathjax/tex-chtml.js"></script>'
    )
    assert mending.mended(maths + "<p>α</p>") == "<p>α</p>"
    assert mending.mended(maths + '<span class="math">') == maths + '<span class="math">'


def test_a_book_is_fresh_until_a_source_of_it_changes(tmp_path, monkeypatch):
    for name in ("lib", "chapters", "_static"):
        (tmp_path / name).mkdir()
    sources = [
        tmp_path / name
        for name in (
            "lib/a.py",
            "chapters/01.py",
            "_toc.yml",
            "_config.yml",
            "references.bib",
            "_static/book.css",
        )
    ]
    for file in sources:
        file.write_text("")
        os.utime(file, (1000, 1000))
    monkeypatch.setattr("lib.base.paths.ROOT", tmp_path)
    monkeypatch.setattr("lib.base.paths.CHAPTERS", tmp_path / "chapters")
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "no runs"))
    assert not book_site.fresh(tmp_path / "_build")
    (tmp_path / "_build" / "html").mkdir(parents=True)
    (tmp_path / "_build" / "book").mkdir()
    index = tmp_path / "_build" / "html" / "index.html"
    index.write_text("")
    os.utime(index, (2000, 2000))
    (tmp_path / "chapters" / "01.ipynb").write_text("made from 01.py")
    assert book_site.fresh(tmp_path / "_build")
    for file in sources:
        os.utime(file, (3000, 3000))
        assert not book_site.fresh(tmp_path / "_build"), file
        os.utime(file, (1000, 1000))


# ---- in the browser ----------------------------------------------------------------------------------------


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def address(site):
    """The site on a plain web server of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def watched(context, own: str) -> tuple:
    """A new page, and what it complains of: requests that leave the site, failed ones, errors and warnings on
    the console.
    """
    page, complaints = context.new_page(), []
    page.route(
        lambda url: not url.startswith((own, "data:", "blob:")),
        lambda route: (complaints.append(f"outside: {route.request.url}"), route.abort()),
    )
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
    page.on(
        "response",
        lambda response: response.status >= 400 and complaints.append(f"{response.status}: {response.url}"),
    )
    page.on(
        "console",
        lambda message: (
            message.type in ("error", "warning") and complaints.append(f"console: {message.text}")
        ),
    )
    page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
    return page, complaints


SETTLED = """async () => {
  if (window.MathJax?.startup?.promise) await MathJax.startup.promise;
  await document.fonts.ready;
  document.head.insertAdjacentHTML('beforeend', '<style>* { transition: none !important; animation: none !important }</style>');
}"""
BROKEN = "[...document.images].filter(one => one.complete && !one.naturalWidth).map(one => one.src)"
UNSET = (
    "[...document.querySelectorAll('.math')].filter(one => "
    "!one.querySelector('mjx-container')).map(one => one.textContent)"
)
# elements that reach beyond the screen and are in no box that scrolls
TOO_WIDE = """() => {
  const wide = document.documentElement.scrollWidth - window.innerWidth;
  const main = document.querySelector('main').getBoundingClientRect();
  return wide > 0 || main.right > window.innerWidth + 1 ? [`${wide} pixels`] : [];
}"""
# how tall a page is, and what in it is too wide for its column or too tall to be read
TOO_LARGE = """() => {
  const article = document.querySelector('article') || document.body, seen = one => one.checkVisibility();
  const box = one => one.getBoundingClientRect();
  const tables = [...article.querySelectorAll('table')].filter(seen).filter(one => box(one).right > box(article).right + 1);
  const cells = [...article.querySelectorAll('td, th')].filter(seen).filter(one => box(one).height > 200);
  const code = [...article.querySelectorAll('pre')].filter(seen).filter(one => one.scrollWidth > one.clientWidth + 1);
  return {
    height: document.documentElement.scrollHeight,
    tables: tables.map(one => one.textContent.trim().slice(0, 40)),
    cells: cells.map(one => `${Math.round(box(one).height)}: ${one.textContent.trim().slice(0, 40)}`),
    code: code.map(one => one.textContent.trim().slice(0, 40)),
  };
}"""
# figures that reach beyond the screen, or are not the drawing that was made for it
CROPPED = """async () => {
  const shown = [...document.querySelectorAll('article figure img')].filter(one => one.checkVisibility());
  // which of its drawings a figure shows is chosen a moment after the page has become narrow
  for (let turn = 0; turn < 100 && shown.some(one => !one.currentSrc); turn++)
    await new Promise(next => setTimeout(next, 50));
  return shown.filter(one => {
    const box = one.getBoundingClientRect();
    return box.right > window.innerWidth + 1 || !one.currentSrc.endsWith('-narrow.svg');
  }).map(one => one.currentSrc.split('/').pop());
}"""
# labels of figures, in pixels on the screen: they are drawn for --drawn pixels
SHRUNK = """[...document.querySelectorAll('article figure img')].map(one =>
  [one.src.split('/').pop(), one.getBoundingClientRect().width / parseFloat(getComputedStyle(one).getPropertyValue('--drawn'))]
).filter(([, by]) => !(by > 0.6))"""
# What is alike is looked at three times: axe takes its time with each element. Alike are elements of one tag,
# class and style whose parents are alike, up to the body. An element goes where nothing in it is of another kind. Headings
# stay, whose levels have an order, and what another element names; headings and links stay whole, and a term stays
# with its description.
FEW_OF_A_KIND = """(() => {
  const seen = {}, staying = new Set(), naming = ['for', 'aria-labelledby', 'aria-describedby', 'aria-controls'];
  const words = (one, what) => (one.getAttribute(what) || '').split(' ').filter(Boolean);
  const named = new Set(naming.flatMap(what => [...document.querySelectorAll(`[${what}]`)].flatMap(one => words(one, what))));
  const look = (one, above) => {
    const kind = `${above}>${one.tagName}.${one.getAttribute('class') || ''}.${one.getAttribute('style') || ''}`, heading = /^H[1-6]$/.test(one.tagName);
    seen[kind] = (seen[kind] || 0) + 1;
    let stays = seen[kind] <= 3 || heading || named.has(one.id);
    const inside = [...one.children].map(child => look(child, kind));
    stays = stays || inside.includes(true);
    if (stays && (heading || ['A', 'BUTTON'].includes(one.tagName))) one.querySelectorAll('*').forEach(each => staying.add(each));
    if (stays && one.tagName === 'DL') {
      const parts = [...one.children];
      for (let n = 1; n < parts.length; n++)
        if (parts[n - 1].tagName === 'DT' && (staying.has(parts[n]) || staying.has(parts[n - 1])))
          staying.add(parts[n]).add(parts[n - 1]);
    }
    if (stays) staying.add(one);
    return stays;
  };
  [...document.body.children].forEach(one => look(one, ''));
  document.querySelectorAll('body *').forEach(one => staying.has(one) || one.remove());
  return staying.size;
})()"""
TOGETHER = 8  # pages that wait at once
RESIZED = 500  # milliseconds after which the theme has looked again for boxes that scroll


def dark(page) -> None:
    page.evaluate("document.documentElement.dataset.theme = document.documentElement.dataset.mode = 'dark'")


def axe(page, **options) -> list[str]:
    found = page.evaluate(
        "options => axe.run(options)", {"preload": False, "resultTypes": ["violations"], **options}
    )
    return [
        f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes'][:3]]}"
        for one in found["violations"]
        if one["id"] not in THE_THEMES
    ]


@pytest.fixture(scope="session")
def visits(chromium, site, names) -> dict[str, SimpleNamespace]:
    """Every page opened from the file system once, and looked at in all ways."""
    import axe_playwright_python

    script = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
    own, found, opened = site.resolve().as_uri(), {}, []
    with chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light") as context:
        for start in range(0, len(names), TOGETHER):
            for name in names[start : start + TOGETHER]:
                page, complaints = watched(context, own)
                page.goto(f"{own}/{name}")
                page.evaluate(SETTLED)
                here = SimpleNamespace(
                    broken=page.evaluate(BROKEN),
                    unset=page.evaluate(UNSET),
                    wide={},
                    axe={},
                )
                for what, width in (("wide screen", 1280), ("200 % zoom", 640), ("phone", 360)):
                    page.set_viewport_size({"width": width, "height": 740})
                    here.wide[what] = page.evaluate(TOO_WIDE)
                here.shrunk = page.evaluate(SHRUNK)
                page.set_viewport_size({"width": 390, "height": 844})
                here.cropped = page.evaluate(CROPPED)
                page.set_viewport_size({"width": 1280, "height": 800})
                here.large = page.evaluate(TOO_LARGE)
                here.complaints = [
                    *complaints
                ]  # what follows takes the page to pieces, and its scripts notice
                page.evaluate(f"{script}; undefined")
                page.evaluate(FEW_OF_A_KIND)
                found[name] = here
                opened.append((page, here))
            opened[-1][0].wait_for_timeout(RESIZED)
            for page, here in opened:
                here.axe["phone"] = axe(page, rules={"color-contrast": {"enabled": False}})
                page.set_viewport_size({"width": 1280, "height": 900})
            opened[-1][0].wait_for_timeout(RESIZED)
            for page, here in opened:
                here.axe["wide screen"] = axe(page)
                dark(page)
                here.axe["dark"] = axe(page, runOnly=["color-contrast", "link-in-text-block"])
                page.close()
            opened.clear()
    return found


def every(visits, what) -> dict:
    """{page: what is wrong}, of pages where something is."""
    return {name: wrong for name, visit in visits.items() if (wrong := what(visit))}


@in_browser
def test_every_page_opens_from_the_file_system_with_no_outside_request_and_no_error(visits):
    assert every(visits, lambda visit: visit.complaints) == {}


@in_browser
def test_every_page_opens_from_a_web_server_with_no_outside_request_and_no_error(chromium, address, names):
    wrong = {}
    with chromium.new_context() as context:
        page, complaints = watched(context, address)
        for name in names:
            page.goto(f"{address}/{name}")
            page.evaluate(SETTLED)
            wrong |= {name: [*complaints]} if complaints else {}
            complaints.clear()
    assert wrong == {}


@in_browser
def test_every_picture_is_shown_and_every_formula_set(visits):
    assert every(visits, lambda visit: visit.broken + visit.unset) == {}


@in_browser
def test_axe_finds_nothing_on_a_wide_screen_in_the_dark_and_on_a_phone(visits):
    assert every(visits, lambda visit: {how: found for how, found in visit.axe.items() if found}) == {}


@in_browser
def test_no_page_scrolls_sideways_at_1280_and_360_pixels_and_at_200_percent(visits):
    assert every(visits, lambda visit: {how: found for how, found in visit.wide.items() if found}) == {}


@in_browser
def test_labels_of_figures_stay_readable_on_a_phone(visits):
    assert every(visits, lambda visit: visit.shrunk) == {}


@in_browser
def test_on_a_phone_every_figure_is_the_one_that_was_drawn_for_it(visits):
    assert every(visits, lambda visit: visit.cropped) == {}


# in pixels at 1280: the answer is near, and a page has an end
TALLEST = {"index.html": 3_500, "chapters/04-worst-case.html": 9_000}
# pages that are lists, whose rows are as wide as what they list
LISTS = ("19-runs", "reference/")


@in_browser
def test_pages_are_as_short_as_was_promised(visits):
    assert {
        name: visits[name].large["height"]
        for name, most in TALLEST.items()
        if visits[name].large["height"] > most
    } == {}


@in_browser
@pytest.mark.parametrize("what", ["tables", "cells", "code"])
def test_nothing_is_wider_than_its_column_and_no_cell_of_text_a_column_of_its_own(visits, what):
    wrong = every(visits, lambda visit: visit.large[what])
    assert {name: found for name, found in wrong.items() if not any(some in name for some in LISTS)} == {}


@in_browser
@pytest.mark.parametrize("how", ["file", "server"])
def test_search_finds_a_chapter(chromium, site, request, how):
    own = site.resolve().as_uri() if how == "file" else request.getfixturevalue("address")
    with chromium.new_context() as context:
        page, complaints = watched(context, own)
        page.goto(f"{own}/search.html?q=jacobian")
        page.wait_for_selector("#search-results li a", timeout=20_000)
        page.wait_for_function(
            "/found/.test(document.querySelector('#search-results').textContent)", timeout=20_000
        )
        assert any(
            "04-worst-case.html" in link.get_attribute("href")
            for link in page.query_selector_all("#search-results li a")
        )
        # excerpts are read from the pages, which a browser does not let files do
        assert complaints == [] or how == "file"


@in_browser
def test_the_landing_page_is_light(chromium, address):
    with chromium.new_context(viewport={"width": 1280, "height": 900}) as context:
        page, sizes = context.new_page(), []
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
        page.goto(f"{address}/index.html", wait_until="networkidle")
    print(f"the landing page: {sum(sizes):,.0f} bytes in {len(sizes)} answers, not compressed")
    assert 50_000 < sum(sizes) < MOST_BYTES


@in_browser
def test_the_landing_page_is_read_without_scripts(chromium, address):
    with chromium.new_context(java_script_enabled=False, viewport={"width": 360, "height": 740}) as context:
        page = context.new_page()
        page.goto(f"{address}/index.html")
        assert page.locator("article h1").is_visible() and page.locator("article p").first.is_visible()
        assert page.locator("article figure img").first.is_visible()
        assert page.locator("article figure.ledger .part-row").first.is_visible()
        assert page.locator("article h1").bounding_box()["y"] < 300


@in_browser
def test_the_theme_can_be_switched_and_a_figure_lies_on_a_light_card_in_the_dark(chromium, address):
    with chromium.new_context(color_scheme="light") as context:
        page = context.new_page()
        page.goto(f"{address}/index.html")
        before = page.evaluate("document.documentElement.dataset.theme")
        for _ in range(3):
            page.locator(".theme-switch-button").first.click()
            if page.evaluate("document.documentElement.dataset.theme") != before:
                break
        assert (before, page.evaluate("document.documentElement.dataset.theme")) == ("light", "dark")
        style = page.evaluate(
            "(({backgroundColor, filter}) => [backgroundColor, "
            "filter])(getComputedStyle(document.querySelector('figure img')))"
        )
        assert style == ["rgb(255, 255, 255)", "brightness(0.9)"]


# ---- on paper ----------------------------------------------------------------------------------------------


def test_contents_are_read_in_order_with_parts_and_sections():
    toc = {
        "format": "jb-book",
        "root": "index",
        "parts": [
            {"caption": "One", "chapters": [{"file": "a", "sections": [{"file": "b"}]}, {"file": "c"}]}
        ],
    }
    assert pdf.contents(toc) == ["index", "a", "b", "c"]
    assert pdf.contents({"root": "index", "chapters": [{"file": "a"}, {"url": "https://x.org"}]}) == [
        "index",
        "a",
    ]


def test_a_printed_page_has_ids_and_links_of_its_own_and_no_hidden_code():
    page = """<h1>no</h1><article class="bd-article"><h1 id="top">T<a class="headerlink" href="#top">#</a></h1><details class="admonition hide above-input">x
    </details><a href="#top">1</a><a href="../index.html">2</a><a href="b.html#s">3</a><a href="../_sources/a.ipynb">4</a><a href="https://x.org/#y">5</a>
    <img alt="a" src="../_images/p.svg"/><script>move()</script><noscript><p>still</p></noscript></article>"""
    page = page.replace(
        "</article>",
        """<details class="admonition hide above-input"><summary>More</summary><div class="cell_input">
    <div><div><pre>draw()</pre></div>
    </div>
    </div><div class="cell_output"><p>shown</p></div></details></article>""",
    )
    found = pdf.article("chapters/a", page, ["index", "chapters/a", "chapters/b"])
    assert "<p>shown</p>" in found and "More" not in found and "draw()" not in found
    assert re.findall(r'<a( href="[^"]*")?>(\d)', found) == [
        (' href="#chapters-a--top"', "1"), (' href="#index"', "2"), (' href="#chapters-b--s"', "3"), ("", "4"), (' href="https://x.org/#y"', "5")
    ]  # fmt: skip
    assert (
        '<article id="chapters-a"><h1 id="chapters-a--top">T</h1>' in found
        and 'src="../html/_images/p.svg"' in found
    )
    assert "details" not in found and "move" not in found and "<p>still</p>" in found
    with pytest.raises(InputError, match="chapters/a.html holds no article; build the book again"):
        pdf.article("chapters/a", "<p></p>", [])


@pytest.mark.parametrize("case", ["no playwright", "no program", "not that program"])
def test_without_a_browser_the_pdf_is_one_line_and_exit_code_2(monkeypatch, capsys, case):
    if case == "no playwright":
        monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
        wanted = "error: playwright, which drives the browser, is not installed; make env installs it"
    elif case == "no program":
        monkeypatch.delenv("CHROMIUM", raising=False)
        monkeypatch.setattr("lib.book.browser.NAMES", ("no-such-browser",))
        monkeypatch.setattr("lib.book.browser._own", lambda: None)
        wanted = "error: no Chromium is installed; install one (apt-get install chromium"
    else:
        monkeypatch.setenv("CHROMIUM", "/no/chromium")
        wanted = "error: CHROMIUM=/no/chromium is not a program; install one"
    monkeypatch.setattr("sys.argv", ["lib", "pdf"])
    with pytest.raises(SystemExit) as leaving:
        main()
    said = capsys.readouterr().err.strip()
    assert leaving.value.code == 2 and said.startswith(wanted) and "\n" not in said


@pytest.mark.slow
@in_browser
def test_a_browser_that_does_not_start_is_said_in_one_line(tmp_path):
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    code = (
        "from lib.book import browser\ntry:\n    browser.chromium().__enter__()\nexcept "
        "browser.InputError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"CHROMIUM": str(program)},
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"{program} does not start: ") and done.stdout.count("\n") == 1


@in_browser
def test_the_whole_book_is_printed_with_links_numbers_and_uncut_figures(built, chromium, parsed, tmp_path):
    for name in ("html", "book"):
        (tmp_path / name).symlink_to(built / name)
    order = pdf.contents(yaml.safe_load((built / "book" / "_toc.yml").read_text()))
    text = pdf.printed(tmp_path, within=chromium).read_bytes()
    assert text.startswith(b"%PDF") and len(re.findall(rb"/Type /Page\b", text)) > 2 * len(order)
    assert b"/Outlines" in text and b"/URI" in text and b"/Dest" in text and b"file:" not in text
    source = tmp_path / "pdf" / "book.html"
    one = Page(source)
    assert [
        name for name in order if f'<article id="{name.replace("/", "-")}">' not in source.read_text()
    ] == []
    assert {link[1:] for link in one.links if link.startswith("#")} <= {
        html.unescape(name) for name in one.ids
    }
    assert len(one.pictures) == sum(len(page.pictures) for page in parsed.values())
    with chromium.new_context(viewport={"width": pdf.WIDTH, "height": 1000}) as context:
        page = context.new_page()
        page.emulate_media(media="print")
        page.goto(source.as_uri())
        page.evaluate(SETTLED)
        assert page.evaluate("document.documentElement.scrollWidth") <= pdf.WIDTH, (
            "something is too wide for the paper: the browser shrinks the book"
        )
        heights = page.evaluate(
            # the ledger may break between claims
            "[...document.querySelectorAll('figure:not(.ledger), .ledger .entry')]"
            ".map(one => one.getBoundingClientRect().height)"
        )
        assert max(heights) < 940  # what A4 has between its margins, in pixels
