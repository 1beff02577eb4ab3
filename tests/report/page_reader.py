"""Reads a page as a browser would, and holds it to what every page must be."""

from html.parser import HTMLParser
from io import BytesIO

from matplotlib.image import imread

from gsp_tf.report.page_svg import INK, PAPER

_VOID = {"meta", "img", "br", "line", "link", "input", "hr"}
_LINKS = ("href", "src", "xlink:href", "srcset", "data", "action", "poster")


class Element:
    """A tag with its attributes, its children, and all the text within it."""

    def __init__(self, tag, attributes, parent):
        self.tag, self.attributes, self.parent, self.children, self.texts = tag, dict(attributes), parent, [], []

    @property
    def text(self):
        return " ".join("".join(self.texts).split())

    def all(self, tag, **attributes):
        """Elements below, in order, of a tag and with these attributes (``class_`` for class)."""
        wanted = {key.rstrip("_"): value for key, value in attributes.items()}
        for child in self.children:
            if child.tag == tag and wanted.items() <= child.attributes.items():
                yield child
            yield from child.all(tag, **attributes)

    def everything(self):
        for child in self.children:
            yield child
            yield from child.everything()


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.root = self.open = Element("page", {}, None)

    def handle_starttag(self, tag, attrs):
        element = Element(tag, attrs, self.open)
        self.open.children.append(element)
        if tag not in _VOID:
            self.open = element

    def handle_startendtag(self, tag, attrs):
        self.open.children.append(Element(tag, attrs, self.open))

    def handle_endtag(self, tag):
        assert tag == self.open.tag, f"</{tag}> closes <{self.open.tag}>"
        self.open = self.open.parent

    def handle_data(self, data):
        element = self.open
        while element is not None:
            element.texts.append(data)
            element = element.parent


def read_page(path):
    """The page's root :class:`Element`, after it was found to be whole, accessible and self-contained."""
    text = path.read_text(encoding="utf-8")
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert reader.open is reader.root
    page = reader.root
    elements = list(page.everything())
    assert text.startswith("<!DOCTYPE html>") and INK not in text and PAPER not in text
    _check_self_contained(text, elements)
    _check_semantics(page, elements)
    return page


def _check_self_contained(text, elements):
    ids = [element.attributes["id"] for element in elements if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    assert not {element.tag for element in elements} & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert "@import" not in text and "@font-face" not in text
    for element in elements:
        for name, value in element.attributes.items():
            if name in _LINKS:
                assert value.startswith("data:image/") or (value.startswith("#") and value[1:] in ids), value[:80]
            assert not name.startswith("on")
    for part in text.split("url(")[1:]:
        assert part.startswith("#") and part[1:].partition(")")[0] in ids, part[:80]


def _check_semantics(page, elements):
    html, = page.all("html")
    assert html.attributes["lang"] == "en"
    title, = page.all("title")
    assert title.text and len(list(page.all("h1"))) == len(list(page.all("main"))) == 1
    levels = [int(element.tag[1]) for element in elements if element.tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
    for element in elements:
        if element.tag == "th":
            assert element.attributes["scope"] in ("row", "col")
        if element.tag == "img":
            assert element.attributes["alt"].strip()
            assert picture_of(element).size
        if element.attributes.get("role") in ("img", "region", "note"):
            assert element.attributes["aria-label"].strip()
        if element.tag == "figure":
            assert len(list(element.all("figcaption"))) == 1
        if element.tag == "svg":
            assert element.attributes["aria-hidden"] == "true"
    for table in page.all("table"):
        widths = {len([cell for cell in row.children if cell.tag in ("th", "td")]) for row in table.all("tr")}
        assert len(widths) == 1


def picture_of(image):
    """The pixels of an ``<img>``."""
    import base64

    head, _, data = image.attributes["src"].partition(",")
    kind = {"data:image/png;base64": "png", "data:image/jpeg;base64": "jpeg"}[head]
    return imread(BytesIO(base64.b64decode(data, validate=True)), format=kind)


def table_of(table):
    """Texts of a table's cells, row by row."""
    return [[cell.text for cell in row.children if cell.tag in ("th", "td")] for row in table.all("tr")]
