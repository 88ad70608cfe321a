"""Any image file as an (H, W, C) array, and what its numbers mean."""
