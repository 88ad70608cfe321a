"""Files decoded ahead, by a thread of its own, while a program still loads its libraries."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from fastunet.io.library_messages import gathered_messages
from fastunet.pairs.pair import Pair
from fastunet.scan.decoded import DecodedFiles


@contextmanager
def reading_ahead(
    pairs: Iterable[Pair],
    files: DecodedFiles,  # where they are kept, as many as there is time and room for
    test_images: bool = False,  # also those of a test part, which training does not see
) -> Iterator[None]:
    """Within, a thread decodes pairs in their order; it ends with the block.

    What it cannot read is not said here: whoever needs it reads it again, and says so.
    """
    done = threading.Event()

    def read() -> None:
        with gathered_messages():
            for pair in pairs:
                if done.is_set() or files.is_full:
                    return
                with suppress(Exception):  # of any type, as files may be of any kind
                    files.mask(pair.mask)
                    if test_images or pair.split != "test":
                        files.image(pair.image_files)

    thread = threading.Thread(target=read, name="reading ahead", daemon=True)
    thread.start()
    try:
        yield
        done.set()
        thread.join()
    finally:  # whoever is stopped does not wait for what is read
        done.set()
