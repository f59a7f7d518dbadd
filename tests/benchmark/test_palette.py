"""The colours of pages and figures: enough contrast, and apart for colour-blind readers."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from rsuper_bench.benchmark import palette
from rsuper_bench.benchmark.page_assets import page_asset

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
VISION = {
    "typical": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])


def tokens(theme: str) -> dict[str, str]:
    blocks = re.findall(r":root[^{]*\{([^}]*)\}", page_asset("page_style.css"))
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks[:2])
    return light if theme == "light" else light | dark


def linear(color: str) -> np.ndarray:
    channels = np.array([int(color[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio."""
    light, dark = sorted((float(linear(color) @ TO_XYZ[1]) + 0.05 for color in (one, other)), reverse=True)
    return light / dark


def distance(one: str, other: str, vision: str) -> float:
    """CIE 1976 colour difference as a kind of vision sees it; 2.3 is just noticeable."""

    def lab(color):
        seen = np.clip(np.array(VISION[vision]) @ linear(color), 0, 1)
        ratio = TO_XYZ @ seen / WHITE
        f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
        return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])

    return float(np.linalg.norm(lab(one) - lab(other)))


def test_contrast_by_hand():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_figures_have_the_colours_of_the_light_theme():
    light = tokens("light")
    assert {light[name]: name for name in palette.TOKENS.values()} == palette.TOKENS


def test_the_switch_gives_the_theme_of_the_system():
    blocks = re.findall(r":root[^{]*\{([^}]*)\}", page_asset("page_style.css"))
    chosen, system = (dict(re.findall(r"--([\w-]+): (#\w+);", block)) for block in blocks[1:3])
    assert chosen == system
    assert len(chosen) > 10


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_can_be_read(theme):
    colors = tokens(theme)
    for ground, words in itertools.product(("paper", "card"), ("ink", "soft", "accent", "warn", "reader", "method")):
        assert contrast(colors[ground], colors[words]) >= 4.5, (ground, words)
    assert contrast(colors["warn-paper"], colors["warn"]) >= 4.5
    assert contrast(colors["method-soft"], colors["ink"]) >= 4.5
    assert contrast(colors["method"], colors["card"]) >= 4.5  # numbers in bars


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_who_is_who_for_every_eye(theme, vision):
    colors = tokens(theme)
    series = ("method", "reader", "ink", "card")
    for one, other in itertools.combinations(series, 2):
        assert distance(colors[one], colors[other], vision) > 20, (one, other)
    assert distance(colors["method"], colors["reader"], vision) >= 75  # docs/evaluation-report.md
    # Parts of a bar that touch: each also has a light edge and its number in it.
    for one, other in itertools.combinations(("method", "method-soft", "line"), 2):
        assert distance(colors[one], colors[other], vision) > 8, (one, other)
