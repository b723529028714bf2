"""All that differs between bases. No other room asks which base it is."""
