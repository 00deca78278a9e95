"""Which conversations and settings Chat Completions takes, beyond the types of its fields.

Source: error messages of the API as publicly reported, checked 2026-11-24.
"""

from typing import cast

from bursar.double.models import ModelLimits
from bursar.double.openai.shape import invalid
from bursar.double.refused import Refusal, Refused
from bursar.double.shapes import JsonObject

_SAMPLING_DEFAULTS = {"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0}


def check_conversation(body: JsonObject) -> None:
    """Check that tool calls are answered, that answers answer one, and that nobody says nothing.

    Raises:
        Refused: The provider would not take it.
    """
    open_calls: list[str] = []
    caller = -1
    answering = False
    for index, message in enumerate(cast("list[JsonObject]", body["messages"])):
        if message["role"] == "tool":
            if not answering:
                raise Refused(
                    invalid(
                        "Invalid parameter: messages with role 'tool' must be a response to a preceeding "
                        "message "
                        "with 'tool_calls'.",
                        f"messages.[{index}].role",
                        None,
                    )
                )
            if message["tool_call_id"] not in open_calls:
                raise Refused(
                    invalid(
                        f"Invalid parameter: 'tool_call_id' of '{message['tool_call_id']}' not found in "
                        "'tool_calls' "
                        "of previous message.",
                        f"messages.[{index}].tool_call_id",
                        None,
                    )
                )
            open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            raise Refused(_unanswered(caller, open_calls))
        calls = cast("list[JsonObject]", message.get("tool_calls") or [])
        answering = bool(calls)
        if message["role"] == "assistant":
            _check_assistant(message, index)
            open_calls, caller = [call["id"] for call in calls], index
    if open_calls:
        raise Refused(_unanswered(caller, open_calls))


def check_settings(body: JsonObject, limits: ModelLimits) -> None:
    """Check settings against the model and against each other.

    Raises:
        Refused: The provider would not take it.
    """
    _check_output_limit(body, limits)
    _check_tools(body)
    if not limits.breakpoints:
        _check_no_breakpoints(body)
    if body.get("stream_options") is not None and body.get("stream") is not True:
        raise Refused(
            invalid(
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
                "stream_options",
                None,
            )
        )
    if limits.reasons:
        for name, default in _SAMPLING_DEFAULTS.items():
            value = body.get(name)
            if value is not None and value != default:
                raise Refused(
                    invalid(
                        f"Unsupported value: '{name}' does not support {value} with this model. Only the "
                        "default "
                        f"({default}) value is supported.",
                        name,
                        "unsupported_value",
                    )
                )
    elif body.get("reasoning_effort") is not None:
        raise Refused(unsupported("reasoning_effort"))
    if body.get("stop") is not None and not limits.stops:
        raise Refused(unsupported("stop"))
    _check_effort(body, limits)


def _check_effort(body: JsonObject, limits: ModelLimits) -> None:
    effort, known = body.get("reasoning_effort"), limits.efforts
    if effort is None or known is None or effort in known:
        return
    listed = ", ".join(f"'{level}'" for level in known[:-1]) + f", and '{known[-1]}'"
    raise Refused(
        invalid(
            f"Unsupported value: '{effort}' is not supported with the '{limits.model}' model. "
            f"Supported values are: {listed}.",
            "reasoning_effort",
            "unsupported_value",
        )
    )


def unsupported(name: str) -> Refusal:
    """Word a parameter that the model does not have."""
    return invalid(
        f"Unsupported parameter: '{name}' is not supported with this model.", name, "unsupported_parameter"
    )


def _check_no_breakpoints(body: JsonObject) -> None:
    if "prompt_cache_options" in body:
        raise Refused(unsupported("prompt_cache_options"))
    for index, message in enumerate(cast("list[JsonObject]", body["messages"])):
        content = message.get("content")
        if not isinstance(content, list):
            continue
        for number, part in enumerate(cast("list[JsonObject]", content)):
            if part.get("prompt_cache_breakpoint") is not None:
                raise Refused(unsupported(f"messages[{index}].content[{number}].prompt_cache_breakpoint"))


def _check_assistant(message: JsonObject, index: int) -> None:
    speaks = any(
        message.get(name) is not None for name in ("tool_calls", "function_call", "refusal", "audio")
    )
    if message.get("content") is None and not speaks:
        raise Refused(
            invalid(
                "Invalid value for 'content': expected a string, got null.",
                f"messages.[{index}].content",
                None,
            )
        )


def _unanswered(caller: int, calls: list[str]) -> Refusal:
    return invalid(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
        f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(calls)}",
        f"messages.[{caller}].role",
        None,
    )


def _check_output_limit(body: JsonObject, limits: ModelLimits) -> None:
    old, new = body.get("max_tokens"), body.get("max_completion_tokens")
    if old is not None and new is not None:
        raise Refused(
            invalid(
                "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
                "max_tokens",
                "invalid_parameter_combination",
            )
        )
    if old is not None and limits.reasons:
        raise Refused(
            invalid(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                "'max_completion_tokens' "
                "instead.",
                "max_tokens",
                "unsupported_parameter",
            )
        )
    asked = new if new is not None else old
    if asked is not None and asked > limits.output_tokens_max:
        raise Refused(
            invalid(
                f"max_tokens is too large: {asked}. This model supports at most {limits.output_tokens_max} "
                f"completion tokens, whereas you provided {asked}.",
                "max_completion_tokens" if new is not None else "max_tokens",
                "invalid_value",
            )
        )


def _check_tools(body: JsonObject) -> None:
    tools = cast("list[JsonObject]", body.get("tools") or [])
    for name in ("tool_choice", "parallel_tool_calls"):
        if name in body and not tools and body[name] != "none":
            raise Refused(
                invalid(
                    f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified.",
                    name,
                    None,
                )
            )
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and "function" in choice:
        wanted = cast("JsonObject", choice)["function"]["name"]
        if all(tool.get("function", {}).get("name") != wanted for tool in tools):
            raise Refused(
                invalid(
                    f"Invalid value for 'tool_choice': function '{wanted}' not found in 'tools'.",
                    "tool_choice",
                    None,
                )
            )
