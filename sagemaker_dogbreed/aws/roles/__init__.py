"""Execution roles: found or made, what they may do, and what the caller may."""
