"""The dialects: reading, editing and answering each provider API's JSON, without I/O.

A dialect splits a request into pieces and blocks (`bursar.domain.prompt`), keeps the raw bytes of all
that it does not change, reads usage from answers and streams into disjoint token classes, and speaks the
provider's error schema. What it does not know passes through untouched. Reading a long thread again
costs its new messages only: pieces, and the beginnings of arrays of them, are remembered by the digest
of their raw bytes (`PieceMemo`).

    dialects                what others import: the dialects by name
    dialect                 what each can do, and the values that it speaks in
    anthropic, …_prompt, …_usage, …_stream      Anthropic's Messages API
    openai_chat, openai_prompt, …_usage, …_stream      OpenAI's Chat Completions API
    raw_json, splicing      raw slices of JSON: looking at them, and setting marks in them
    drafts, memo            pieces before their texts are counted, and after
    content, images         what kind of text a text is; what images and documents take
    sse, holding, received  a stream cut into events; its terminal event held back; what has arrived
    condensing              history in fewer tokens: tool results masked, older messages summarised
    transcripts, transcript_messages      recorded conversations as requests and answers

A body that cannot be read raises `BadRequest` with the path of the offending field, and nothing else; an
answer that cannot be read is an `Answer` without usage that says why.
"""
