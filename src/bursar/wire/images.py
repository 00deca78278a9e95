"""How many tokens an image or a document takes, estimated from what a request shows of it.

Estimates, used to plan and to reserve; the provider's usage is what is billed.
"""

import base64
import binascii

_HEADER_CHARACTERS = 65_536  # Enough base64 to reach a JPEG's frame header behind its metadata.

# Anthropic: tokens ≈ width × height / 750; a longer edge than 1,568 pixels is scaled down first, so that
# an image takes about 1,600 tokens at most. Source: platform.claude.com, vision page, as PROVIDERS' era
# of 2025; newer models accept more pixels, which calibration against reported usage corrects.
_PIXELS_PER_TOKEN = 750
_EDGE_PIXELS_MAX = 1_568
ANTHROPIC_IMAGE_TOKENS_MAX = 1_600

# OpenAI: 85 tokens at low detail; 765 for a 1024 × 1024 image at high detail (85 + 4 tiles of 170).
# Source: platform.openai.com, images and vision guide (the gpt-4o family).
OPENAI_LOW_DETAIL_TOKENS = 85
OPENAI_IMAGE_TOKENS = 765

# Documents: a page is about 2,000 tokens (its text and its picture; Anthropic's PDF page says 1,500 to
# 3,000 of text) and about 100 KB. Both are rough; a document of unknown size counts as one page.
_PAGE_TOKENS = 2_000
_PAGE_BYTES = 100_000

# Audio: about 10 tokens a second, of which the densest common form takes 16 KB. A rough upper estimate.
_AUDIO_BYTES_PER_TOKEN = 1_600


def audio_tokens(base64_characters: int) -> int:
    """Estimate a recording's tokens from the length of its base64 data."""
    return -(-base64_characters * 3 // 4 // _AUDIO_BYTES_PER_TOKEN)


def anthropic_image_tokens(base64_data: str) -> int:
    """Estimate an image's tokens at Anthropic from its header; the maximum where that is unreadable."""
    size = image_size(base64_data)
    if size is None:
        return ANTHROPIC_IMAGE_TOKENS_MAX
    width, height = size
    longer = max(width, height)
    if longer > _EDGE_PIXELS_MAX:
        width = width * _EDGE_PIXELS_MAX // longer
        height = height * _EDGE_PIXELS_MAX // longer
    return min(-(-width * height // _PIXELS_PER_TOKEN), ANTHROPIC_IMAGE_TOKENS_MAX)


def document_tokens(base64_characters: int) -> int:
    """Estimate a document's tokens from the length of its base64 data; 0 for unknown gives one page."""
    size_bytes = base64_characters * 3 // 4
    return max(_PAGE_TOKENS, -(-size_bytes * _PAGE_TOKENS // _PAGE_BYTES))


def image_size(base64_data: str) -> tuple[int, int] | None:
    """Read width and height in pixels from a base64 PNG, JPEG, GIF or WebP; None where there is none."""
    head = base64_data[:_HEADER_CHARACTERS]
    try:
        data = base64.b64decode(head[: len(head) // 4 * 4])
    except (binascii.Error, ValueError):
        return None
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        size = (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))
    elif data.startswith((b"GIF87a", b"GIF89a")) and len(data) >= 10:
        size = (int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little"))
    elif data.startswith(b"\xff\xd8"):
        size = _jpeg_size(data)
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP" and len(data) >= 30:
        size = _webp_size(data)
    else:
        size = None
    return size if size and size[0] > 0 and size[1] > 0 else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        # Start-of-frame markers carry the size; C4, C8 and CC share their range but are no frames.
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height = int.from_bytes(data[position + 5 : position + 7], "big")
            return int.from_bytes(data[position + 7 : position + 9], "big"), height
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    form = data[12:16]
    if form == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if form == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if form == b"VP8 ":
        return (
            int.from_bytes(data[26:28], "little") & 0x3FFF,
            int.from_bytes(data[28:30], "little") & 0x3FFF,
        )
    return None
