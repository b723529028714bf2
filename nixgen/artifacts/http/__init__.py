"""Over HTTP: the JSON of hubs, forges and registries, and files on their way."""
