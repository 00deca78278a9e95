"""Anthropic's Messages API, as strict as the provider: what it refuses, and how it answers."""
