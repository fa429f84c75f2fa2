"""Prices, what specs cost at most, and the account's limits."""
