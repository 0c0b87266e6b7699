"""A hunt for inputs that do harm: `python -m tests.fuzz --seed 7 --count 5000`."""
