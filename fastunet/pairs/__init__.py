"""Which mask belongs to which image, and which pairs are trained on, validated on and tested on."""
