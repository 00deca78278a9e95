"""The dialects by name."""

from collections.abc import Mapping

from bursar.wire.anthropic import ANTHROPIC_MESSAGES
from bursar.wire.dialect import Dialect
from bursar.wire.openai_chat import OPENAI_CHAT

_ALL: tuple[Dialect, ...] = (ANTHROPIC_MESSAGES, OPENAI_CHAT)

DIALECTS: Mapping[str, Dialect] = {dialect.name: dialect for dialect in _ALL}
