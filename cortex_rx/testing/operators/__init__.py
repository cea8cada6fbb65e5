"""Whether an operator keeps the promises that every operator makes."""
