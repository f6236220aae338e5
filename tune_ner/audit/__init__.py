"""Audit: the checks that run on a corpus and its split before training."""
