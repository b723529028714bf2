"""Projects of other tools as uv projects: ``nixgen init --from``. uv does the work, and what it cannot keep is told."""
