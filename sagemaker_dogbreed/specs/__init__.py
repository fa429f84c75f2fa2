"""What is asked for: values without behaviour, checked when they are made."""
