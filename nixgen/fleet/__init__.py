"""Many projects built by many machines, on engines that exist: the plan, its shards, receipts, the one who logs."""
