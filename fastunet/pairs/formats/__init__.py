"""How data folders are laid out: which folder or file says where images and masks lie."""
