"""OpenAI's Chat Completions API, as strict as the provider: what it refuses, and how it answers."""
