"""What lies on one user's machine for a project: its venvs, notebook kernels, and what nobody needs any more."""
