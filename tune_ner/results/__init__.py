"""Run directories, trial records, the leaderboard and the tables derived from them."""
