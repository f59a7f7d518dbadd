"""Colours of figures: those of ``page_style.css`` in the light theme, by which an inline figure follows the theme.

Colour says who (the method, a radiologist), shape says what. Blue and vermilion stay apart for colour-blind readers
and in grey; a test measures it.
"""

from __future__ import annotations

from typing import Any

METHOD, METHOD_SOFT, READER = "#0072b2", "#b3d5e8", "#b3470b"
INK, SOFT, LINE, CARD, WARN = "#1b2226", "#566169", "#dfe1de", "#ffffff", "#8a4b00"
TOKENS = {
    METHOD: "method",
    METHOD_SOFT: "method-soft",
    READER: "reader",
    INK: "ink",
    SOFT: "soft",
    LINE: "line",
    CARD: "card",
    WARN: "warn",
}

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # names are hostile input, and a $ is a $
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlecolor": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "svg.hashsalt": "rsuper-bench",
    "svg.fonttype": "none",
    "figure.facecolor": CARD,
    "axes.facecolor": CARD,
}
