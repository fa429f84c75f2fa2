"""Tuning: the search over hyperparameters, and a training job that runs all trials of one itself."""
