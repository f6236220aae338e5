"""Search spaces, hyperparameters and trial configurations."""
