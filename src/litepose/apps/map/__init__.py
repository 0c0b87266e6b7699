"""`litepose map`: find people in more images than one process, or one machine, gets through."""
