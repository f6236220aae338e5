"""Loading of exported models and prediction."""
