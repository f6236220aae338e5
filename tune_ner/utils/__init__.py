"""Helpers without domain knowledge: files, streams, redaction and rendering."""
