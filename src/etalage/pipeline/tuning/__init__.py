"""Which settings are best here? A search over a recipe, by as many processes as one likes."""
