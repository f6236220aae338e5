"""The checks of the audit, one class per check."""
