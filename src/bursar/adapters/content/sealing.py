"""Encryption at rest: content is sealed before it reaches the file, and opened after it was read."""

import base64
import binascii
import importlib
import os
from typing import Any, Protocol

from bursar.errors import BadSetting

_KEY_BYTES = 32
_NONCE_BYTES = 12


class Seal(Protocol):
    """Seals content for the file. Thread-safe."""

    def close(self, name: bytes, content: bytes) -> bytes:
        """Return what is written for content of a name."""
        ...

    def open(self, name: bytes, sealed: bytes) -> bytes | None:
        """Return the content of a name; None where it was sealed otherwise, or changed since."""
        ...


class NoSeal:
    """Leaves content as it is: the file is as private as the directory that it stands in."""

    def close(self, name: bytes, content: bytes) -> bytes:
        """Return the content."""
        del name
        return content

    def open(self, name: bytes, sealed: bytes) -> bytes | None:
        """Return the content."""
        del name
        return sealed


class AesGcmSeal:
    """AES-256-GCM with a random nonce, bound to the content's name, so that rows cannot be exchanged.

    One key is good for 2³² contents (NIST SP 800-38D, 8.3). Content that was sealed with another key is
    not found any more.

    Args:
        key: 32 bytes.

    Raises:
        BadSetting: The `encryption` extra is not installed.
    """

    def __init__(self, key: bytes) -> None:
        try:
            aead: Any = importlib.import_module("cryptography.hazmat.primitives.ciphers.aead")
            exceptions: Any = importlib.import_module("cryptography.exceptions")
        except ImportError:
            raise BadSetting(
                'encryption at rest needs the extra: pip install "bursar[encryption]"',
                place="storage.content_key_env",
            ) from None
        self._cipher: Any = aead.AESGCM(key)
        self._mismatch: type[Exception] = exceptions.InvalidTag

    def close(self, name: bytes, content: bytes) -> bytes:
        """Encrypt content."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed: bytes = self._cipher.encrypt(nonce, content, name)
        return nonce + sealed

    def open(self, name: bytes, sealed: bytes) -> bytes | None:
        """Decrypt content."""
        try:
            content: bytes = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name)
        except (self._mismatch, ValueError):
            # ValueError: what the file holds is too short for a nonce.
            return None
        return content


def read_key(text: str, place: str) -> bytes:
    """Read a key from its Base64 form, as `openssl rand -base64 32` writes one.

    Args:
        text: The key.
        place: Where it comes from, for the message. The key itself is never shown.

    Raises:
        BadSetting: It is not the Base64 form of 32 bytes.
    """
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise BadSetting(
            f"a key is {_KEY_BYTES} bytes in Base64; make one with: openssl rand -base64 {_KEY_BYTES}",
            place=place,
        )
    return key
