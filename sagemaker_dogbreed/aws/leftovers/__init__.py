"""What the library made and is still there: listed with its cost, and swept."""
