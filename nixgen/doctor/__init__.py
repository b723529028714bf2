"""``nixgen doctor``: what stands between this machine and a working project. Facts, read once; checks; the report."""
