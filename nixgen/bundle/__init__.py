"""What ``nixgen bundle`` does: a project with its environments in one file, for machines without a network."""
