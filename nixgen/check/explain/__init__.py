"""Why two builds differ: pure functions over two contents."""
