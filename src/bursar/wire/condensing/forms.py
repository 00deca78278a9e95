"""The dialects' forms, by the dialect's name."""

from collections.abc import Mapping

from bursar.wire import anthropic, openai_chat
from bursar.wire.condensing.anthropic import AnthropicForm
from bursar.wire.condensing.openai import OpenAIForm
from bursar.wire.condensing.spoken import Form

FORMS: Mapping[str, Form] = {anthropic.NAME: AnthropicForm(), openai_chat.NAME: OpenAIForm()}
