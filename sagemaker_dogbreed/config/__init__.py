"""One YAML file to specs and back: strict, with every problem reported at once."""
