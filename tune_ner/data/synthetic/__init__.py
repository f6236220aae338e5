"""Generator of a synthetic Swedish clinical corpus."""
