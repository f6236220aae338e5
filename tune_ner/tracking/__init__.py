"""Listeners to run events: console, progress, JSON lines and MLflow."""
