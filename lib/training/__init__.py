"""Training: recipe, variants, objective, step and loop."""
