"""One look at every file: what is decoded for one purpose is kept for the next."""
