"""The checks of the audit, one module per check."""
