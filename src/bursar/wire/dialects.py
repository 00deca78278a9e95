"""The dialects by name."""

from collections.abc import Mapping

from bursar.wire.anthropic import ANTHROPIC_MESSAGES
from bursar.wire.dialect import Dialect

DIALECTS: Mapping[str, Dialect] = {dialect.name: dialect for dialect in (ANTHROPIC_MESSAGES,)}
