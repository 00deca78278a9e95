"""Names of contents and tenants: digests, so that neither file nor memory holds the text of a key."""

import hashlib

from bursar.ports import ContentKey, ContentKind

_NAME_BYTES = 32
_TENANT_BYTES = 16

# Numbers, and not the words, are part of every name; they must never change.
_KINDS = {ContentKind.RESPONSE: b"\1", ContentKind.MEMO: b"\2", ContentKind.RESULT: b"\3"}


def tenant_digest(tenant: str) -> bytes:
    """Name a tenant by 16 bytes."""
    return hashlib.blake2b(tenant.encode("utf-8", "surrogatepass"), digest_size=_TENANT_BYTES).digest()


def content_name(tenant: bytes, key: ContentKey) -> bytes:
    """Name content by 32 bytes.

    Args:
        tenant: `tenant_digest` of the key's tenant. Its length is fixed, so that no tenant and digest
            together can be mistaken for another pair.
        key: The key.
    """
    return hashlib.blake2b(tenant + _KINDS[key.kind] + key.digest, digest_size=_NAME_BYTES).digest()
