"""What kind of text a text is, by cheap signs: which token ratio fits it.

Tokenizers differ by a few per cent between prose and source code and by a factor on Chinese, Japanese
and Korean. A wrong guess costs that difference in an estimate, never in a bill, so a look at the first
characters is enough. The ratios themselves are data (`data/token_ratios.toml`).
"""

import re

from bursar.domain.prompt import ContentClass

_SAMPLE_CHARACTERS = 2_000
_CHARACTERS_PER_TOKEN = 4

# Hiragana to CJK ideographs, Hangul syllables, compatibility ideographs, full-width forms.
_CJK = re.compile(r"[぀-鿿가-힯豈-﫿＀-￯]")

# What a line of source code, of a diff or of a shell begins or ends with, and one of prose does not.
_CODE_ENDS = (";", "{", "}", "):", "(", "=>", "->", "},", "),", "],", "\\")
# fmt: off
_CODE_WORDS = (
    "def", "class", "func", "fn", "function", "public", "private", "protected", "static", "struct", "import",
    "from", "package", "using", "return", "const", "let", "var", "async", "diff", "$", ">>>", "@@", "+++",
    "---",
)
# fmt: on
_CODE_STARTS = (*(f"{word} " for word in _CODE_WORDS), "#include", "//", "/*", "*/", "#!", "<?", "</")
_BLOCK_STARTS = (
    "if ",
    "elif ",
    "else",
    "for ",
    "while ",
    "with ",
    "try",
    "except",
    "finally",
    "match ",
    "case ",
)


def classify(text: str, prose: ContentClass) -> ContentClass:
    """Tell source code and CJK from prose.

    Args:
        text: The text.
        prose: The class to give it where it is neither.

    Returns:
        `CJK` where more than half of the characters of the sample are; `CODE` where fenced blocks or
        lines that look like source are at least half of it; `prose` otherwise.
    """
    sample = text[:_SAMPLE_CHARACTERS]
    if not sample.isascii() and 2 * len(_CJK.findall(sample)) > len(sample):
        return ContentClass.CJK
    if "\n" in sample and _looks_like_code(sample):
        return ContentClass.CODE
    return prose


def classify_result(text: str, media_tokens: int = 0) -> ContentClass:
    """Classify a tool's result: `JSON` where it begins and ends as an object or array does.

    Args:
        text: Its text.
        media_tokens: Tokens of images and files in it. Where they are the greater part, with some four
            characters of text to a token, it counts as `MEDIA`.
    """
    if media_tokens and len(text) < _CHARACTERS_PER_TOKEN * media_tokens:
        return ContentClass.MEDIA
    first, last = text[:1], text[-1:]
    if first.isspace() or last.isspace():
        stripped = text.strip()
        first, last = stripped[:1], stripped[-1:]
    if (first == "{" and last == "}") or (first == "[" and last == "]"):
        return ContentClass.JSON
    return classify(text, ContentClass.CHAT)


def _looks_like_code(sample: str) -> bool:
    fenced = sum(map(len, sample.split("```")[1::2]))
    if 2 * fenced >= len(sample):
        return True
    lines = 0
    code_lines = 0
    for line in sample.split("\n"):
        stripped = line.strip()
        if stripped:
            lines += 1
            code_lines += (
                stripped.endswith(_CODE_ENDS)
                or stripped.startswith(_CODE_STARTS)
                or " = " in stripped
                or (stripped.endswith(":") and stripped.startswith(_BLOCK_STARTS))
            )
    return code_lines >= 2 and 2 * code_lines >= lines
