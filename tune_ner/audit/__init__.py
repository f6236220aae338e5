"""What is wrong with a corpus and its split before anyone trains on it."""

from tune_ner.audit.corpus_audit import audit_corpus
from tune_ner.audit.findings import SEVERITIES, AuditReport, Example, Finding, PartSize, Severity
from tune_ner.audit.forms import SeenForms, seen_forms, surface_form

__all__ = [
    "SEVERITIES",
    "AuditReport",
    "Example",
    "Finding",
    "PartSize",
    "SeenForms",
    "Severity",
    "audit_corpus",
    "seen_forms",
    "surface_form",
]
