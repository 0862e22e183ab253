"""The real product while everything of it is killed, and what must hold afterwards: README.md."""
