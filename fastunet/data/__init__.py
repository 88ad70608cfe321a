"""Files on disk to batches: pairs, images, masks, augmentation, cache, DataLoaders, samples."""
