"""What a request says about the provider's cache as a whole."""

import msgspec

from bursar.cachemodel.prompts import CacheOptions
from bursar.wire.dialect import Request
from bursar.wire.raw_json import is_null, set_member

CACHE_OPTIONS = "prompt_cache_options"
"""OpenAI's field for it, from GPT-5.6."""

_RETENTION = "prompt_cache_retention"


class _CacheFields(msgspec.Struct):
    mode: str | None = None
    ttl: str | None = None


def read_cache_options(request: Request) -> CacheOptions:
    """Read what a request says about caching as a whole. What is malformed says nothing."""
    fields = request.fields
    try:
        if CACHE_OPTIONS in fields:
            said = msgspec.json.decode(fields[CACHE_OPTIONS], type=_CacheFields | None)
            if said is not None:
                return CacheOptions(implicit=said.mode != "explicit", ttl=said.ttl)
        elif _RETENTION in fields:
            return CacheOptions(ttl=msgspec.json.decode(fields[_RETENTION], type=str | None))
    except msgspec.DecodeError:
        pass
    return CacheOptions()


def with_cache_mode(request: Request, *, implicit: bool) -> bytes:
    """Return what the client says about caching, with the provider's own breakpoint on or off."""
    said = request.fields.get(CACHE_OPTIONS)
    options = b"{}" if said is None or is_null(said) else said
    return set_member(options, "mode", b'"implicit"' if implicit else b'"explicit"')
