"""Bursar: the cost engine for LLM agents."""
