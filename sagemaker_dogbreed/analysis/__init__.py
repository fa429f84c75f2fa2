"""Reading results: predictions and how to show them."""
