"""Corpora: reading, markup removal, splits and near-duplicates."""
