"""The debian base: suites, apt, its sources, and busybox, which unpacks the first package."""
