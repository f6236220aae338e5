"""Submission of runs to a Ray cluster and retrieval of their results."""
