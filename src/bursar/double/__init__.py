"""The provider double: answers, refuses, caches and bills as the provider does, without spending.

`ProviderDouble` is the provider without a network: a call and a time go in, an answer comes out, and the
bill is kept. `bursar double` puts it behind HTTP (`app`); `bursar replay` asks it directly, so that both
meet the same provider. It judges the rest of Bursar and therefore checks requests with code of its own
(`anthropic`, `openai`: one folder per API), as strictly as the provider. Prompts are read by
`bursar.wire` and cached by `bursar.cachemodel`.

What it bills: the prompt of every answer, whole, by where its tokens stood in the cache; the output up to
its end, or in a stream that was cut or aborted, up to there. Refusals and injected failures cost nothing.
Nothing here is random: draws come from a seed, the request's bytes and how often they came before.
"""
