"""History in fewer tokens, in a dialect's own JSON: tool results masked, older messages summarised.

What comes out is a valid request wherever what went in was one: a tool call and its result stay together,
thinking blocks keep their bytes, roles alternate where the dialect wants it. All of it is a function of its
arguments, so that the same rewriting of the same messages has the same bytes at every later turn.

    cuts            where history may be cut
    masking         tool results replaced by a line that says what was there
    summaries       messages replaced by a summary of them
    rendering       messages as plain text, for the model that summarises them
    asking          asking that model, and reading what it answers
    spoken          a message as all of these see it
    forms           what differs between dialects: anthropic, openai
    exchanges       which messages belong together
    wording         what a model gets to read in place of what was left out

Messages are given as a list of raw JSON objects (`spoken.split`) that begins behind the leading system
messages, and were read before (`Dialect.read`): what is malformed in ways that reading lets pass raises
`BadRequest`.
"""
