"""A small world of routing: models by hand, and outcomes that can be learned from."""

import json
from array import array
from pathlib import Path

from bursar.policy.routing.curve import Curve, Point
from bursar.policy.routing.features import BUCKETS, MEASURE_COUNT, read_features
from bursar.policy.routing.model import Head, ModelCard, RouteModel, Space

TOPICS = ("tariff", "parcel", "invoice", "refund", "delivery", "voucher", "address", "password")


def card(**more: object) -> ModelCard:
    said = {"weak": "small", "strong": "large", "data_sha256": "ab" * 32, "rows": 10, "strong_better": 4}
    return ModelCard(**{**said, "strong_worse": 1, "options": {"folds": 5}, **more})  # type: ignore[arg-type]


def model_by_hand(words: dict[str, float] | None = None, *, answers: bool = False) -> RouteModel:
    """Return a model that knows a few words: above zero speaks for the strong model, below against it."""
    better, worse = (array("f", bytes(4 * BUCKETS)) for _ in range(2))
    for word, weight in (words or {}).items():
        for bucket in read_features(word).counts:
            (better if weight > 0 else worse)[bucket] = abs(weight)
    count = (2 if answers else 1) * MEASURE_COUNT
    flat = (0.0,) * count
    return RouteModel(
        card=card(answer_field="reply" if answers else ""),
        space=Space(array("f", [1.0]) * BUCKETS, flat, (1.0,) * count),
        better=Head(0.0, better, flat),
        worse=Head(0.0, worse, flat),
        curve=Curve(10, (Point(1.0, 0, 0.6), Point(0.7, 3, 0.9), Point(0.4, 6, 1.02), Point(0.0, 10, 1.0))),
    )


def learnable(count: int = 80) -> list[dict[str, object]]:
    """Return outcomes of which those that ask for a proof need the large model."""
    rows: list[dict[str, object]] = []
    for number in range(count):
        hard = number % 2 == 0
        wish = "prove this theorem about" if hard else "please tell me my"
        prompt = f"{wish} {TOPICS[number % len(TOPICS)]} number {number}"
        # The large model is never worse but on every tenth easy one.
        easy_failed = not hard and number % 20 == 1
        rows.append({
            "prompt": prompt,
            "topic": TOPICS[number % len(TOPICS)],
            "small": not hard,
            "large": not easy_failed,
            "reply": "I do not know" if hard else "It is ready",
        })  # fmt: skip
    return rows


def write_outcomes(file: Path, rows: list[dict[str, object]]) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(file)
