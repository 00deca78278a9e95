import base64
import struct

import pytest

from bursar.domain.prompt import ContentClass
from bursar.wire.content import classify, classify_result
from bursar.wire.images import (
    ANTHROPIC_IMAGE_TOKENS_MAX,
    anthropic_image_tokens,
    audio_tokens,
    document_tokens,
    image_size,
)

CODE = "import os\n\ndef main():\n    total = 0\n    return total\n"
DIFF = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n one line of context\n"
FENCED = "Run this:\n```sh\n" + "make all the things\n" * 5 + "```\n"


@pytest.mark.parametrize("text", [CODE, DIFF, FENCED, "{\n  int a;\n}\n"])
def test_source_diffs_and_fences_are_code(text: str) -> None:
    assert classify(text, ContentClass.CHAT) is ContentClass.CODE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Please change my flight.",
        "Dear team,\n\nwe met today.\n- first point\n- second point\n\nRegards\n",
        "# Policy\n\nAgents may refund an order once:\n\n- within 30 days\n- with a receipt\n",
    ],
)
def test_prose_keeps_the_class_of_its_place(text: str) -> None:
    assert classify(text, ContentClass.POLICY) is ContentClass.POLICY


def test_text_that_is_mostly_cjk_is_cjk_and_a_quotation_is_not() -> None:
    assert classify("予約を変更してください。", ContentClass.CHAT) is ContentClass.CJK
    assert classify("예약을 변경해 주세요", ContentClass.CHAT) is ContentClass.CJK
    assert (
        classify("The word 予約 means reservation, as everybody knows.", ContentClass.CHAT)
        is ContentClass.CHAT
    )


@pytest.mark.parametrize("text", ['{"a": 1}', " [1, 2]\n", "{}"])
def test_a_result_in_brackets_is_json(text: str) -> None:
    assert classify_result(text) is ContentClass.JSON


@pytest.mark.parametrize("text", ["", "Done.", "[note", "{open"])
def test_other_results_are_read_as_text(text: str) -> None:
    assert classify_result(text) is ContentClass.CHAT


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + struct.pack(">II", 640, 480) + b"\x08\x02\0\0\0"
GIF = b"GIF89a" + struct.pack("<HH", 640, 480) + b"\0\0\0"
JPEG = (
    b"\xff\xd8\xff\xe0"
    + struct.pack(">H", 16)
    + b"J" * 14
    + b"\xff\xc0"
    + struct.pack(">HBHH", 17, 8, 480, 640)
)
VP8X = b"RIFF\0\0\0\0WEBPVP8X" + b"\0" * 8 + (639).to_bytes(3, "little") + (479).to_bytes(3, "little")
VP8L = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + (639 | 479 << 14).to_bytes(4, "little") + b"\0" * 8
VP8 = b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 10 + struct.pack("<HH", 640, 480)


@pytest.mark.parametrize("data", [PNG, GIF, JPEG, VP8X, VP8L, VP8], ids=["png", "gif", "jpeg", "x", "l", "8"])
def test_the_size_of_an_image_is_read_from_its_header(data: bytes) -> None:
    assert image_size(encoded(data)) == (640, 480)
    # 640 × 480 / 750 = 409.6, rounded up.
    assert anthropic_image_tokens(encoded(data)) == 410


@pytest.mark.parametrize(
    "data", ["", "no base64!", encoded(b"BM bitmap"), encoded(PNG[:20]), encoded(JPEG[:8])]
)
def test_an_image_whose_header_is_unreadable_counts_as_the_largest(data: str) -> None:
    assert image_size(data) is None
    assert anthropic_image_tokens(data) == ANTHROPIC_IMAGE_TOKENS_MAX


def test_a_large_image_is_scaled_down_before_it_is_counted() -> None:
    wide = PNG[:16] + struct.pack(">II", 3136, 400) + PNG[24:]
    # Scaled to 1,568 × 200; 1,568 × 200 / 750 = 418.1.
    assert anthropic_image_tokens(encoded(wide)) == 419


def test_documents_and_recordings_grow_with_their_bytes() -> None:
    assert document_tokens(0) == document_tokens(1_000) == 2_000
    assert document_tokens(4_000_000) == 60_000
    assert audio_tokens(0) == 0
    assert audio_tokens(64_000) == 30
