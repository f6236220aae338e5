"""Tokenization, tagging schemes, alignment and decoding."""
