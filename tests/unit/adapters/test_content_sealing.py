import base64
from contextlib import closing
from pathlib import Path

import pytest

from bursar.adapters.content.file import FILE_NAME
from bursar.adapters.content.sealing import AesGcmSeal, NoSeal, read_key
from bursar.adapters.content.sqlite import ContentOptions, SqliteContent
from bursar.errors import BadSetting
from bursar.ports import ContentKey, ContentKind

NOW_S = 1_764_000_000.0
KEY = ContentKey("acme", ContentKind.RESPONSE, b"digest")


class MaskSeal:
    """Stands in for encryption: names its key, so that another key opens nothing."""

    def __init__(self, mask: int) -> None:
        self._mask = mask

    def close(self, name: bytes, content: bytes) -> bytes:
        return bytes([self._mask, name[0]]) + bytes(byte ^ self._mask for byte in content)

    def open(self, name: bytes, sealed: bytes) -> bytes | None:
        if sealed[:2] != bytes([self._mask, name[0]]):
            return None
        return bytes(byte ^ self._mask for byte in sealed[2:])


def sealed_store(folder: Path, mask: int) -> SqliteContent:
    return SqliteContent.open(folder, ContentOptions(front_bytes_max=0, seal=MaskSeal(mask)))


async def test_content_is_sealed_in_the_file_and_opened_again(tmp_path: Path) -> None:
    with closing(sealed_store(tmp_path, 0x55)) as store:
        await store.put(KEY, b"the customer's card", 60, NOW_S)
        await store.purge(0.0)
        assert await store.get(KEY, NOW_S) == b"the customer's card"
    assert b"the customer's card" not in (tmp_path / FILE_NAME).read_bytes()


async def test_content_that_was_sealed_with_another_key_is_a_miss(tmp_path: Path) -> None:
    with closing(sealed_store(tmp_path, 0x55)) as store:
        await store.put(KEY, b"content", 60, NOW_S)
    with closing(sealed_store(tmp_path, 0x66)) as store:
        assert await store.get(KEY, NOW_S) is None
        assert await store.put(KEY, b"new", 60, NOW_S)
        await store.purge(0.0)
        assert await store.get(KEY, NOW_S) == b"new"


def test_no_seal_leaves_content_as_it_is() -> None:
    assert NoSeal().open(b"name", NoSeal().close(b"name", b"content")) == b"content"


def test_a_key_is_32_bytes_in_base64() -> None:
    assert read_key(base64.b64encode(bytes(range(32))).decode() + "\n", "KEY") == bytes(range(32))


@pytest.mark.parametrize("text", ["", "secret passphrase", base64.b64encode(b"short").decode(), "A" * 43])
def test_another_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(BadSetting, match="CONTENT_KEY: a key is 32 bytes") as refused:
        read_key(text, "CONTENT_KEY")
    assert not text or text not in str(refused.value)


def test_encryption_says_what_to_install_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("bursar.adapters.content.sealing.importlib.import_module", missing)
    with pytest.raises(BadSetting, match=r"bursar\[encryption\]"):
        AesGcmSeal(bytes(32))


def test_encrypted_content_opens_under_its_own_name_and_key_only() -> None:
    seal = AesGcmSeal(bytes(32))
    sealed = seal.close(b"name", b"content")
    assert b"content" not in sealed
    assert sealed != seal.close(b"name", b"content")
    assert seal.open(b"name", sealed) == b"content"
    assert seal.open(b"other", sealed) is None
    assert AesGcmSeal(bytes(31) + b"x").open(b"name", sealed) is None
    assert seal.open(b"name", sealed[:-1] + bytes([sealed[-1] ^ 1])) is None
    assert seal.open(b"name", sealed[:5]) is None
