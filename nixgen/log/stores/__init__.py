"""Where a log lies: a folder, a bucket, a web server."""
