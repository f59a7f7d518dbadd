"""A matplotlib figure as SVG inside a page: colours of the theme, no ids, no style attributes, nothing to load."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from markupsafe import Markup

from rsuper_bench.benchmark.palette import STYLE, TOKENS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_LONG = re.compile(r"-?[0-9]*\.[0-9]{3,}(?:e-?[0-9]+)?")
_MOVED = re.compile(r"translate\((-?[0-9.]+) (-?[0-9.]+)\)")  # how words of several lines are placed
_KEPT = ("fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "opacity", "fill-opacity")
_TEXT = ("font-size", "font-weight", "text-anchor")


@contextmanager
def figure_style() -> Iterator[None]:
    """Style of every figure. A name in a script that the font lacks is drawn as boxes in PNG, without a warning."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        yield


def inline_svg(figure: Figure, label: str) -> Markup:
    """Turn a figure, drawn in :func:`figure_style`, into an ``svg`` element.

    Colours of the palette become classes (``f-method``, ``s-line``), so that text and lines follow the theme. Style
    attributes, which the page's content policy forbids, become attributes of their own; markers stand where they are
    used, so that several figures of a page share no id.

    Args:
        figure: Any figure whose colours are those of the palette.
        label: What a screen reader says.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(  # type: ignore[no-untyped-call]
        buffer, metadata={"Date": None, "Creator": None}
    )
    drawn = ElementTree.fromstring(buffer.getvalue())  # noqa: S314 - our own output
    markers = {
        item.get("id", ""): item for item in drawn.iter(f"{_SVG}path") if item.get("id", "").startswith(("m", "C"))
    }
    root = ElementTree.Element(
        "svg", {"class": "chart", "role": "img", "aria-label": label, "viewBox": drawn.get("viewBox", "0 0 1 1")}
    )
    background = next((item for item in drawn.iter(f"{_SVG}g") if item.get("id") == "patch_1"), None)
    for item in _drawn(drawn, background):
        copied = _copied(item, markers)
        if copied is not None:
            root.append(copied)
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704 - serialised, hence escaped


def _drawn(element: ElementTree.Element, background: ElementTree.Element | None) -> Iterator[ElementTree.Element]:
    """Paths, markers and texts in the order in which they are painted."""
    for child in element:
        if child is background or child.tag in (f"{_SVG}defs", f"{_SVG}metadata"):
            continue
        if child.tag in (f"{_SVG}path", f"{_SVG}use", f"{_SVG}text"):
            yield child
        else:
            yield from _drawn(child, background)


def _copied(item: ElementTree.Element, markers: dict[str, ElementTree.Element]) -> ElementTree.Element | None:
    style = _style(item)
    if item.tag == f"{_SVG}text":
        moved = _MOVED.fullmatch(item.get("transform", ""))
        places = moved.groups() if moved else (item.get("x", "0"), item.get("y", "0"))
        text = ElementTree.Element("text", {"x": _short(places[0]), "y": _short(places[1])})
        turned = re.match(r"rotate\((-?[0-9.]+) ", item.get("transform", ""))
        if turned and float(turned.group(1)):
            text.set("transform", _short(item.get("transform", "")))
        _apply(text, {"fill": "#000000"} | style, _TEXT)
        size = text.get("font-size", "")
        text.set("font-size", size.removesuffix("px"))
        text.text = "".join(item.itertext())
        return text
    path = ElementTree.Element("path")
    source = item
    if item.tag == f"{_SVG}use":
        source = markers[item.get(_LINK, "").removeprefix("#")]
        style = _style(source) | style
        path.set("transform", _short(f"translate({item.get('x')} {item.get('y')})"))
    path.set("d", _short(" ".join(source.get("d", "").split())))
    if style.get("stroke", "none") == "none" and style.get("fill", "#000000") == "none":
        return None
    _apply(path, {"fill": "#000000"} | style, ())
    return path


def _style(item: ElementTree.Element) -> dict[str, str]:
    pairs = (part.split(":", 1) for part in item.get("style", "").split(";") if ":" in part)
    return {name.strip(): value.strip() for name, value in pairs}


def _apply(element: ElementTree.Element, style: dict[str, str], more: tuple[str, ...]) -> None:
    classes = []
    for name in (*_KEPT, *more):
        value = style.get(name)
        if value is None:
            continue
        token = TOKENS.get(value.lower()) if name in ("fill", "stroke") else None
        if token is not None:
            classes.append(f"{name[0]}-{token}")
        else:
            element.set(name, _short(value))
    if classes:
        element.set("class", " ".join(classes))


def _short(text: str) -> str:
    """Two decimals are a hundredth of a point."""
    return _LONG.sub(lambda found: f"{round(float(found.group()), 2):g}", text)
