"""A finer cut of prompts, for caches that match token by token rather than block by block.

OpenAI's automatic cache matches in steps of 128 tokens, wherever blocks end. Here a long block is cut
every 256 bytes of its JSON, some 64 tokens, so that what two prompts share within a block is found to
within half a step. A message of several blocks is cut at its blocks only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import orjson
import xxhash

from bursar.domain.prompt import Prompt, digest
from bursar.double.shapes import JsonObject

_PIECE_BYTES = 256
_FINE_TOKENS_MIN = 128
_BLOCKS_MAX = 50_000


@dataclass(frozen=True, slots=True)
class Cut:
    """Prefixes of a prompt, as `bursar.cachemodel` takes them."""

    chain: Sequence[bytes]
    ends: Sequence[int]
    message_ends: Sequence[int] = ()


class FinePrefixes:
    """Cuts prompts; what is inside of a block is remembered by the block's digest, bounded."""

    def __init__(self) -> None:
        self._inner: dict[bytes, tuple[bytes, ...]] = {}

    def cut(self, layout: Cut, prompt: Prompt, body: JsonObject, scope: bytes) -> Cut:
        """Cut a prompt finer.

        Args:
            layout: Its prefixes that end with blocks.
            prompt: What was laid out.
            body: The request, decoded.
            scope: The scope of the layout.
        """
        members = _members(body)
        pieces = prompt.pieces()
        if len(members) != len(pieces):
            # A prompt that is made of other fields, too, is cut at its blocks.
            return layout
        chain: list[bytes] = []
        ends: list[int] = []
        link, tokens, block = digest(scope), 0, 0
        salts = {0: prompt.tools_salt, len(prompt.tools): prompt.system_salt}
        salts[len(prompt.tools) + len(prompt.system)] = prompt.messages_salt
        for number, piece in enumerate(pieces):
            # A section's settings belong to the name of whatever follows them.
            if number in salts:
                link = digest(link + salts[number])
            end = layout.ends[block + len(piece.blocks) - 1]
            if len(piece.blocks) == 1 and end - tokens >= _FINE_TOKENS_MIN:
                inner = self._inside(piece.blocks[0].digest, members[number])
                for index, name in enumerate(inner, start=1):
                    chain.append(digest(link + name))
                    ends.append(tokens + (end - tokens) * index // (len(inner) + 1))
            chain.extend(layout.chain[block : block + len(piece.blocks)])
            ends.extend(layout.ends[block : block + len(piece.blocks)])
            block += len(piece.blocks)
            link, tokens = layout.chain[block - 1], end
        return Cut(chain, ends)

    def _inside(self, block: bytes, member: JsonObject) -> tuple[bytes, ...]:
        """Name the prefixes of one block that end inside of it."""
        inner = self._inner.get(block)
        if inner is None:
            text = orjson.dumps(member)
            running = xxhash.xxh3_128()
            names: list[bytes] = []
            for start in range(0, len(text) - _PIECE_BYTES, _PIECE_BYTES):
                running.update(text[start : start + _PIECE_BYTES])
                names.append(running.digest())
            inner = self._inner[block] = tuple(names)
            if len(self._inner) > _BLOCKS_MAX:
                for old in list(self._inner)[: _BLOCKS_MAX // 8]:
                    del self._inner[old]
        return inner


def _members(body: JsonObject) -> list[JsonObject]:
    """Return what a Chat Completions prompt is made of, in prompt order: tools, then messages."""
    tools = cast("list[JsonObject]", body.get("tools") or [])
    return [*tools, *cast("list[JsonObject]", body["messages"])]
