"""Draws cost against quality as SVG, by hand: a chart library for one chart would weigh more than Bursar."""

from collections.abc import Sequence
from html import escape
from math import ceil, floor

from bursar.adapters.routing.validation import Figures, mean
from bursar.cli.route_screen import Evaluation
from bursar.policy.routing.curve import oracle_curve

_WIDTH, _HEIGHT = 760, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 24, 56, 56
_LEARNED, _LOT, _ORACLE = "#1f6feb", "#8b949e", "#2da44e"

_LETTERS = 'font-family="sans-serif" font-size="13" fill="#24292f"'

_Dot = tuple[float, float]
"""Cost saved and quality, as shares."""


class _Frame:
    """Where values stand in the picture.

    Args:
        dots: All that is drawn.
    """

    def __init__(self, dots: Sequence[_Dot]) -> None:
        saved = [dot[0] for dot in dots]
        qualities = [dot[1] for dot in dots]
        self.saved_min, self.saved_max = min(0.0, floor(10 * min(saved)) / 10), 1.0
        self.quality_min = floor(20 * min(qualities) - 1e-9) / 20
        self.quality_max = ceil(20 * max(qualities) + 1e-9) / 20

    def x(self, saved: float) -> float:
        part = (saved - self.saved_min) / (self.saved_max - self.saved_min)
        return _LEFT + part * (_WIDTH - _LEFT - _RIGHT)

    def y(self, quality: float) -> float:
        part = (quality - self.quality_min) / (self.quality_max - self.quality_min)
        return _HEIGHT - _BOTTOM - part * (_HEIGHT - _TOP - _BOTTOM)

    def line(self, dots: Sequence[_Dot], colour: str, more: str = "") -> str:
        points = " ".join(f"{self.x(saved):.1f},{self.y(quality):.1f}" for saved, quality in dots)
        return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" {more}/>'


def draw(evaluation: Evaluation) -> str:
    """Return the picture: what was learned, lots, and knowing all outcomes; and the wanted quality."""
    outcomes = [row.outcome for row in evaluation.read.rows]
    learned = [(evaluation.saved(each.strong_share), each.quality) for each in evaluation.samples()]
    oracle = oracle_curve(outcomes)
    known = [
        (evaluation.stakes.saved(oracle.calls, point.strong_calls), point.quality) for point in oracle.points
    ]
    weak, strong = evaluation.right()
    lots = [(evaluation.saved(0), weak / strong), (evaluation.saved(1), 1.0)]
    frame = _Frame([*learned, *known, *lots, (0.0, evaluation.quality)])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_LETTERS}>',
        '<rect width="100%" height="100%" fill="white"/>',
        *_axes(frame, evaluation),
        frame.line(known, _ORACLE),
        frame.line(lots, _LOT, 'stroke-dasharray="6 4"'),
        frame.line(learned, _LEARNED),
        *_figure(frame, mean(evaluation.figures)),
        *_legend(),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _figure(frame: _Frame, figures: Figures) -> list[str]:
    """Return the dot where the wanted quality is reached, and what is saved there."""
    x, y = frame.x(figures.cost_saved), frame.y(figures.quality)
    said = f"{100 * figures.cost_saved:.1f} % saved"
    return [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{_LEARNED}"/>',
        f'<text x="{x + 9:.1f}" y="{y + 17:.1f}" fill="{_LEARNED}" font-weight="bold">{said}</text>',
    ]


def _axes(frame: _Frame, evaluation: Evaluation) -> list[str]:
    """Return title, grid, numbers and names of both axes, and the line of the wanted quality."""
    strong, weak = escape(evaluation.read.strong), escape(evaluation.read.weak)
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = [f'<text x="{_LEFT}" y="24" font-size="16" font-weight="bold">{weak} or {strong}</text>']
    for tenth in range(round(10 * frame.saved_min), 11, 2):
        x = frame.x(tenth / 10)
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#eaeef2"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{10 * tenth} %</text>')
    for twentieth in range(round(20 * frame.quality_min), round(20 * frame.quality_max) + 1):
        y = frame.y(twentieth / 20)
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#eaeef2"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{5 * twentieth} %</text>')
    wanted = frame.y(evaluation.quality)
    parts.append(
        f'<line x1="{_LEFT}" y1="{wanted:.1f}" x2="{right}" y2="{wanted:.1f}" stroke="#cf222e" '
        f'stroke-dasharray="2 3"/>'
    )
    middle = (_LEFT + right) / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{_HEIGHT - 12}" text-anchor="middle">cost saved, of {strong} alone</text>'
    )
    middle = (_TOP + bottom) / 2
    parts.append(
        f'<text transform="translate(18 {middle:.0f}) rotate(-90)" text-anchor="middle">'
        f"quality, of {strong} alone</text>"
    )
    return parts


def _legend() -> list[str]:
    parts: list[str] = []
    x = _LEFT
    for name, colour in (("learned", _LEARNED), ("by lot", _LOT), ("knowing all outcomes", _ORACLE)):
        parts.append(f'<line x1="{x}" y1="42" x2="{x + 22}" y2="42" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="{x + 28}" y="46">{name}</text>')
        x += 120
    return parts
