"""What kind of text a text is, by cheap signs: which token ratio fits it.

Tokenizers differ by a few per cent between prose and source code and by a factor on Chinese, Japanese
and Korean. A wrong guess costs that difference in an estimate, never in a bill, so a look at the first
characters is enough. The ratios themselves are data (`data/token_ratios.toml`).
"""

import re

from bursar.domain.prompt import ContentClass

_SAMPLE_CHARACTERS = 4_000

# Hiragana to CJK ideographs, Hangul syllables, compatibility ideographs, full-width forms.
_CJK = re.compile(r"[぀-鿿가-힯豈-﫿＀-￯]")

# A line that source code, a diff or a shell has and that prose has not.
_CODE_LINE = re.compile(
    r"""^(?:
        \s*(?:def|class|func|fn|function|public|private|protected|static|package|struct|enum|impl)\s+\w
      | \s*(?:import|from|\#include|using|require|return|const|let|var|val)\b.*[\w;:"'(){}>]$
      | \s*(?:elif|else|try|except|catch)\b.*[:{]$
      | \s*(?:if|for|while|with|switch)\b.*[:{]$
      | \s*[\w.\[\]"']+\s*(?:=|\+=|:=|->|=>)\s*\S
      | \s*\w[\w.]*\(.*\)\s*[;:{]?$
      | .*[;{}]\s*$
      | \s*(?://|/\*|\*/|\#!)
      | @@\ |\+\+\+\ |---\ |diff\ --git
      | \$\ \w
    )""",
    re.VERBOSE | re.MULTILINE,
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


def classify_result(text: str) -> ContentClass:
    """Classify a tool's result: `JSON` where it begins and ends as an object or array does."""
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
    lines = sum(1 for line in sample.split("\n") if line.strip())
    code_lines = len(_CODE_LINE.findall(sample))
    return code_lines >= 2 and 2 * code_lines >= lines
