"""What is written once, by ``nixgen init``, and belongs to the user afterwards."""
