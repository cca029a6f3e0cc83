"""Trains the shipped small Llama and its adapters; it meets the rest only through a model folder on disk."""
