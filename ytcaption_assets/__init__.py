"""What is made: the three assets, and the domain they are written in."""
