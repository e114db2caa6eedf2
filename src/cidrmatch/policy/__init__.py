"""What a product accepts in a list, and what it says to whoever is refused."""
