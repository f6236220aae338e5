"""Training and evaluation of one trial with the Hugging Face Trainer."""
