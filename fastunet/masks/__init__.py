"""Any mask encoding as class indices: from the values in files to the `MaskCodec`."""
