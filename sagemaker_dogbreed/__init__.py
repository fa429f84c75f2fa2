"""Labelled images to a deployed classifier."""
