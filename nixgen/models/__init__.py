"""What ``nixgen model``, ``data``, ``verify`` and ``run`` do."""
