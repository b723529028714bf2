"""What ``nixgen registry`` does in a project: its runs, its policy and its nixgen.lock over a registry."""
