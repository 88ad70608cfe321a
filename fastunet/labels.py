"""Class indices that mean the same in every room."""

BACKGROUND = 0  # the first class, where nothing says otherwise
VOID = 255  # the class index of pixels that no loss, metric or picture counts
MAX_CLASSES = 254
