"""How providers' prompt caches behave: used to plan marks, to price the baseline, and by the double.

A cache holds entries. An entry is a prefix of some prompt, named by `Layout.chain`, that lives for a
time and is renewed, for free, whenever it is read. `ProviderCache.look` says what a provider would read,
write and bill at full price for a prompt; it changes nothing. `ProviderCache.keep` says that the
response has begun, which is when entries can be read: parallel first calls all pay. Time is an argument.

- `anthropic`: entries exist only where marks stood. A mark finds an entry at its own block or at most
  `lookback_blocks` before it. The longest hit over all marks is read, once; the rest, up to the last
  mark, is written.
- `openai_automatic` (before GPT-5.6): every prefix is kept, for free; the longest live one is read,
  rounded down to whole steps.
- `openai_marks` (from GPT-5.6): entries exist where breakpoints stood, the automatic one at the end of
  the last message included; a match is exact at a breakpoint; writes are billed.

Nothing shorter than the model's minimum is read or written. Prefixes of different accounts, models or
settings have different names (the scope and salts of `lay_out`), so that every invalidation that a
provider documents comes about by itself. All numbers are data, `bursar/data/cache_rules.toml`, and
arrive as `CacheRules`. A model without rules is taken to have no cache.
"""
