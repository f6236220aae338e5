"""Metrics of gold and predicted spans, confidence intervals and significance tests."""
