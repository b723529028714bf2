"""What brings a project up to date as a whole, and enters it: sync, add, remove, upgrade, shell."""
