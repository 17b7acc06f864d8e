"""What does it look like? Pictures whose attributes match the item, judged, and chosen by what is
clicked."""
