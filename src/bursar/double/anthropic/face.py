"""The Messages API's face: headers, errors, and what a request asks for."""

from collections.abc import Mapping
from typing import cast

import orjson

from bursar.domain.prices import Terms
from bursar.double.anthropic.conversation import blocks_of, check_conversation
from bursar.double.anthropic.rendering import render_events, render_whole
from bursar.double.anthropic.settings import check_marks, check_settings, check_tools
from bursar.double.anthropic.shape import (
    BETA_MESSAGES_REQUEST,
    COUNT_REQUEST,
    MESSAGES_REQUEST,
    AnthropicWording,
    invalid,
)
from bursar.double.faces import Ask, Reply, Sent
from bursar.double.models import ModelLimits
from bursar.double.refused import Refusal, Refused
from bursar.double.shapes import JsonObject

_WORDING = AnthropicWording()
_FAILURES = (
    Refusal(
        429,
        "rate_limit_error",
        "This request would exceed your organization's rate limit.",
        headers={"retry-after": "1"},
    ),
    Refusal(500, "api_error", "Internal server error"),
    Refusal(529, "overloaded_error", "Overloaded"),
)
_SEARCHES_DEFAULT = 3
_ADAPTIVE_REASONING_MAX = 4_096


class AnthropicFace:
    """Speaks as Anthropic does."""

    dialect = "anthropic.messages"

    def credential(self, headers: Mapping[str, str]) -> str:
        """Check the headers and return the caller's key."""
        key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not key:
            raise Refused(Refusal(401, "authentication_error", "x-api-key header is required"))
        if "anthropic-version" not in headers:
            raise Refused(invalid("anthropic-version: header is required"))
        return key

    def check(self, body: JsonObject, limits: ModelLimits, headers: Mapping[str, str]) -> Ask:
        """Check a body whose model is known."""
        shape = BETA_MESSAGES_REQUEST if "anthropic-beta" in headers else MESSAGES_REQUEST
        shape.check(body, "", _WORDING)
        check_marks(body)
        check_conversation(body, limits)
        check_settings(body, limits)
        return _ask(body)

    def check_count(self, body: JsonObject, limits: ModelLimits) -> None:
        """Check the body of a request to count tokens."""
        COUNT_REQUEST.check(body, "", _WORDING)
        check_marks(body)
        check_conversation(body, limits)
        check_tools(body, limits)

    def malformed(self, reason: str) -> Refusal:
        """Word a body that is no JSON object."""
        return invalid(f"The request body is not valid JSON: {reason}")

    def too_large(self) -> Refusal:
        """Word a body beyond the limit."""
        return Refusal(413, "request_too_large", "Request exceeds the maximum size")

    def unknown_model(self, body: JsonObject) -> Refusal:
        """Word a model that is missing, of a wrong type, or not served."""
        model = body.get("model")
        if "model" not in body:
            return _WORDING.missing("model")
        if not isinstance(model, str):
            return _WORDING.wrong_type("model", "string", model)
        if not model:
            return invalid("model: String should have at least 1 character")
        return Refusal(404, "not_found_error", f"model: {model}")

    def unserved_tier(self, ask: Ask) -> Refusal:
        """Word a tier or a geography that the model is not sold under."""
        if ask.terms.geo:
            return invalid(f"inference_geo: '{ask.terms.geo}' is not supported for {ask.model}")
        return invalid(f"speed: '{ask.terms.tier}' is not supported for {ask.model}")

    def too_long(self, prompt_tokens: int, limits: ModelLimits) -> Refusal:
        """Word a prompt beyond the model's context window."""
        return invalid(f"prompt is too long: {prompt_tokens} tokens > {limits.context_tokens} maximum")

    def failure(self, number: int) -> Refusal:
        """Return one of the failures that the provider is known for."""
        return _FAILURES[number % len(_FAILURES)]

    def error(self, refusal: Refusal, name: str) -> bytes:
        """Write an error body."""
        return orjson.dumps(
            {
                "type": "error",
                "error": {"type": refusal.kind, "message": refusal.message},
                "request_id": f"req_01{name}",
            }
        )

    def whole(self, reply: Reply) -> bytes:
        """Write a whole answer."""
        return render_whole(reply)

    def events(self, reply: Reply) -> list[Sent]:
        """Write an answer as a stream."""
        return render_events(reply)

    def request_headers(self, name: str) -> Mapping[str, str]:
        """Return the headers that name the request."""
        return {"request-id": f"req_01{name}"}

    def call_id(self, name: str) -> str:
        """Return a tool call's id that ends with a name."""
        return f"toolu_01{name}"


def _ask(body: JsonObject) -> Ask:
    messages = cast("list[JsonObject]", body["messages"])
    tools = cast("list[JsonObject]", body.get("tools") or [])
    output = cast("JsonObject", body.get("output_config") or {})
    form = cast("JsonObject", output.get("format") or {})
    metadata = cast("JsonObject", body.get("metadata") or {})
    return Ask(
        model=body["model"],
        stream=body.get("stream") is True,
        output_tokens_max=body["max_tokens"],
        reasoning_tokens_max=_reasoning_tokens_max(body),
        stop_sequences=tuple(body.get("stop_sequences") or ()),
        forced_tool=_forced_tool(body, tools),
        schema=form.get("schema"),
        searches_max=_searches_max(tools),
        terms=Terms(
            tier="fast" if body.get("speed") == "fast" else "standard",
            geo="" if body.get("inference_geo") in {None, "global"} else body["inference_geo"],
        ),
        conversation=metadata.get("user_id") or "",
        turn=sum(message["role"] == "assistant" for message in messages),
        last_user_text=_last_user_text(messages),
    )


def _reasoning_tokens_max(body: JsonObject) -> int | None:
    thinking = cast("JsonObject", body.get("thinking") or {"type": "disabled"})
    if thinking["type"] == "disabled":
        return None
    return thinking.get("budget_tokens", _ADAPTIVE_REASONING_MAX)


def _forced_tool(body: JsonObject, tools: list[JsonObject]) -> tuple[str, JsonObject] | None:
    choice = cast("JsonObject", body.get("tool_choice") or {"type": "auto"})
    callable_tools = [tool for tool in tools if "input_schema" in tool]
    if choice["type"] == "tool":
        callable_tools = [tool for tool in callable_tools if tool["name"] == choice["name"]]
    elif choice["type"] != "any":
        return None
    return (callable_tools[0]["name"], callable_tools[0]["input_schema"]) if callable_tools else None


def _searches_max(tools: list[JsonObject]) -> int:
    for tool in tools:
        if str(tool.get("type", "")).startswith("web_search_"):
            return tool.get("max_uses") or _SEARCHES_DEFAULT
    return 0


def _last_user_text(messages: list[JsonObject]) -> str:
    for message in reversed(messages):
        if message["role"] == "user":
            return "".join(b["text"] for b in blocks_of(message["content"]) if b["type"] == "text")
    return ""
