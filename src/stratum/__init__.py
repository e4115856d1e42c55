"""Typed, bounded, recorded LLM calls."""
