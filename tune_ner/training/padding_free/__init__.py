"""Batches without padding: collator, dropout and vocabulary trimming."""
