"""Grid and search under Ray Tune."""
