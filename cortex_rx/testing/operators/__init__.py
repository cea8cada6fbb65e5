"""Check that an operator keeps the promises that every operator makes."""
