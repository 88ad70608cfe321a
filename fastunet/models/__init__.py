"""The networks: images in, raw logits of the same height and width out."""
