import subprocess
import sys

import pytest
from rs_bpe.bpe import openai

from bursar.adapters.tokenizer import SplintrTokenizer

TOKENIZER = SplintrTokenizer()

TEXTS = {
    "nothing": "",
    "words": "The flight to Berlin is late, isn't it? 12345 seats at $3.50.",
    "json": '{"flights": [{"number": "HAT001", "price": 152, "status": null}, {}]}',
    "code": "def f(x):\n\treturn [y**2 for y in range(x) if y % 2]\r\n",
    "chinese": "我们的航班因为天气原因延误了三个小时",
    "emoji": "👩‍👩‍👧‍👦 family, flag 🇩🇪, e\u0301",
    "special tokens spelled out": "<|endoftext|> <|im_start|>user<|im_end|>",
    "control characters": "\x00\x01\x7f\u200b\ufeff",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_counts_are_those_of_another_o200k(text: str) -> None:
    assert TOKENIZER.count([text]) == [openai.o200k_base().count(text)]


@pytest.mark.parametrize("unit", ["a", " ", "\n", " \n\t", "=", "é", "漢", "😀", "1", "<|endoftext|>"])
def test_long_monotonous_texts_are_counted_in_time_and_right(unit: str) -> None:
    text = (unit * 60_000)[:60_000]
    assert TOKENIZER.count([text, "tail"]) == [openai.o200k_base().count(text), 1]


def test_small_and_large_batches_agree() -> None:
    texts = [*TEXTS.values(), "\ud800 lone"]
    alone = [TOKENIZER.count([text])[0] for text in texts]
    assert TOKENIZER.count(texts) == alone
    assert TOKENIZER.count([*texts, "filler " * 10_000])[:-1] == alone


def test_no_texts_have_no_counts() -> None:
    assert TOKENIZER.count([]) == []


def test_a_lone_surrogate_counts_as_a_question_mark() -> None:
    assert TOKENIZER.count(["x\udfff y"]) == TOKENIZER.count(["x? y"])


def test_the_library_is_loaded_at_the_first_count_only() -> None:
    code = (
        "import sys; from bursar.adapters.tokenizer import SplintrTokenizer; t = SplintrTokenizer(); "
        "assert 'splintr' not in sys.modules; t.count(['a']); assert 'splintr' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
