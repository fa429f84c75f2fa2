"""Cartoon dogs: a labelled data set that is drawn on the spot."""
