"""Helpers without domain knowledge: files, text, tables, consoles and redaction."""
