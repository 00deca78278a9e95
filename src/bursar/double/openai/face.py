"""The face of Chat Completions: headers, errors, and what a request asks for."""

from collections.abc import Mapping
from typing import Any, cast

import orjson

from bursar.cachemodel.prompts import CacheOptions
from bursar.domain.prices import Terms
from bursar.double.faces import Ask, Reply, Sent
from bursar.double.models import ModelLimits
from bursar.double.openai.conversation import check_conversation, check_settings
from bursar.double.openai.rendering import render_events, render_whole
from bursar.double.openai.shape import CHAT_REQUEST, OpenAIWording, invalid
from bursar.double.refused import Refusal, Refused
from bursar.double.shapes import JsonObject

_WORDING = OpenAIWording()
_FAILURES = (
    Refusal(
        429,
        "requests",
        "Rate limit reached for requests.",
        "rate_limit_exceeded",
        headers={"retry-after": "1"},
    ),
    Refusal(500, "server_error", "The server had an error while processing your request. Sorry about that!"),
    Refusal(503, "server_error", "The engine is currently overloaded, please try again later."),
)
_TIERS = {"flex": "flex", "priority": "priority", "fast": "priority"}
_REASONING_MAX = {
    "minimal": 256,
    "low": 1_024,
    "medium": 4_096,
    "high": 16_384,
    "xhigh": 32_768,
    "max": 65_536,
}


class OpenAIFace:
    """Speaks as OpenAI does."""

    dialect = "openai.chat"

    def credential(self, headers: Mapping[str, str]) -> str:
        """Check the headers and return the caller's key."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Refused(
                Refusal(
                    401,
                    "invalid_request_error",
                    "You didn't provide an API key. You need to provide your API key in an Authorization "
                    "header "
                    "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
                )
            )
        return key.strip()

    def check(self, body: JsonObject, limits: ModelLimits, headers: Mapping[str, str]) -> Ask:
        """Check a body whose model is known."""
        del headers
        CHAT_REQUEST.check(body, "", _WORDING)
        check_conversation(body)
        check_settings(body, limits)
        return _ask(body)

    def malformed(self, reason: str) -> Refusal:
        """Word a body that is no JSON object."""
        return invalid(f"We could not parse the JSON body of your request. ({reason})", None, None)

    def too_large(self) -> Refusal:
        """Word a body beyond the limit."""
        return Refusal(413, "invalid_request_error", "Request body is too large.", "request_too_large")

    def unknown_model(self, body: JsonObject) -> Refusal:
        """Word a model that is missing, of a wrong type, or not served."""
        model = body.get("model")
        if model is None or model == "":
            return invalid("you must provide a model parameter", None, None)
        if not isinstance(model, str):
            return _WORDING.wrong_type("model", "string", model)
        message = f"The model `{model}` does not exist or you do not have access to it."
        return Refusal(404, "invalid_request_error", message, "model_not_found")

    def unserved_tier(self, ask: Ask) -> Refusal:
        """Word a tier that the model is not sold under."""
        return invalid(
            f"Invalid service_tier argument: '{ask.terms.tier}' is not available for {ask.model}.",
            "service_tier",
            "invalid_value",
        )

    def too_long(self, prompt_tokens: int, limits: ModelLimits) -> Refusal:
        """Word a prompt beyond the model's context window."""
        return invalid(
            f"This model's maximum context length is {limits.context_tokens} tokens. However, your messages "
            "resulted "
            f"in {prompt_tokens} tokens. Please reduce the length of the messages.",
            "messages",
            "context_length_exceeded",
        )

    def failure(self, number: int) -> Refusal:
        """Return one of the failures that the provider is known for."""
        return _FAILURES[number % len(_FAILURES)]

    def error(self, refusal: Refusal, name: str) -> bytes:
        """Write an error body. The request's name is in its headers only."""
        del name
        return orjson.dumps(
            {
                "error": {
                    "message": refusal.message,
                    "type": refusal.kind,
                    "param": refusal.param,
                    "code": refusal.code,
                }
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
        return {"x-request-id": f"req_{name}"}

    def call_id(self, name: str) -> str:
        """Return a tool call's id that ends with a name."""
        return f"call_{name}"


def _ask(body: JsonObject) -> Ask:
    messages = cast("list[JsonObject]", body["messages"])
    stop = body.get("stop") or ()
    options = cast("JsonObject", body.get("stream_options") or {})
    metadata = cast("JsonObject", body.get("metadata") or {})
    effort: str = body.get("reasoning_effort") or "none"
    limit = body.get("max_completion_tokens")
    named: Any = metadata.get("conversation") or body.get("user") or ""
    return Ask(
        model=body["model"],
        stream=body.get("stream") is True,
        output_tokens_max=limit if limit is not None else body.get("max_tokens"),
        choices=body.get("n") or 1,
        reasoning_tokens_max=_REASONING_MAX.get(effort),
        stop_sequences=(stop,) if isinstance(stop, str) else tuple(stop),
        forced_tool=_forced_tool(body),
        schema=_schema(body),
        terms=Terms(tier=_TIERS.get(body.get("service_tier") or "", "standard")),
        wants_usage=options.get("include_usage") is True,
        conversation=named if isinstance(named, str) else "",
        turn=sum(message["role"] == "assistant" for message in messages),
        last_user_text=_last_user_text(messages),
        cache_key=body.get("prompt_cache_key") or "",
        cache_options=_cache_options(body),
    )


def _forced_tool(body: JsonObject) -> tuple[str, JsonObject] | None:
    choice: Any = body.get("tool_choice")
    functions = [t["function"] for t in cast("list[JsonObject]", body.get("tools") or []) if "function" in t]
    if isinstance(choice, dict) and "function" in choice:
        wanted = cast("JsonObject", choice)["function"]["name"]
        functions = [function for function in functions if function["name"] == wanted]
    elif choice != "required":
        return None
    return (functions[0]["name"], functions[0].get("parameters") or {}) if functions else None


def _schema(body: JsonObject) -> JsonObject | None:
    form = cast("JsonObject", body.get("response_format") or {"type": "text"})
    if form["type"] == "text":
        return None
    return form.get("json_schema", {}).get("schema") or {}


def _cache_options(body: JsonObject) -> CacheOptions:
    options = cast("JsonObject", body.get("prompt_cache_options") or {})
    return CacheOptions(
        implicit=options.get("mode") != "explicit",
        ttl=options.get("ttl") or body.get("prompt_cache_retention"),
    )


def _last_user_text(messages: list[JsonObject]) -> str:
    for message in reversed(messages):
        if message["role"] == "user":
            content = message["content"]
            if isinstance(content, str):
                return content
            return "".join(part["text"] for part in content if part["type"] == "text")
    return ""
