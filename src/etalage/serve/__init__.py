"""What does the visitor see? Bundle, export, runtime, the shop-window page."""
