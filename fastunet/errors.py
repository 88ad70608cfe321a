"""The exceptions a user can meet. Each message says what was found, what was expected, what to do.

All of them are `FastunetError`, so a program can catch the mistakes of its user in one place and
let the bugs of fastunet through. The command line turns them into one line and exit code 2.
"""


class FastunetError(Exception):
    """A mistake that the user can mend; the message says how."""


class FastunetWarning(UserWarning):
    """What a user should know, though the work goes on."""


class OptionError(FastunetError, ValueError):
    """A parameter or option has a value that is not possible; the message names those that are."""


class PairingError(FastunetError):
    """Images and masks could not be matched."""


class AmbiguousPairingError(PairingError):
    """Images have more than one kind of mask; the message has the answers to type."""


class ImageReadError(FastunetError):
    """A file is missing, cut short or not an image that can be decoded."""


class MaskValueError(FastunetError):
    """A mask holds values that the codec does not know, or nothing to learn from."""


class SizeMismatchError(FastunetError):
    """An image and its mask differ in height or width."""


class SplitError(FastunetError):
    """The split or batch that was asked for cannot be made of these pairs."""


class AuditError(FastunetError):
    """The audit of a data set found errors, and `strict=True` refuses them."""


class DownloadError(FastunetError):
    """A public data set could not be fetched."""


class ArchitectureError(FastunetError):
    """The `arch` argument names no network that fastunet can build."""


class BundleError(FastunetError):
    """A bundle is missing, cut short, changed, or of a kind that is not loaded."""


class OutputError(FastunetError):
    """A file cannot be written, or would replace one that is there."""


class TrainingError(FastunetError):
    """Training cannot go on, or was asked for something that it cannot do."""


class EvaluationError(FastunetError):
    """There is nothing to evaluate, or evaluations cannot be read or compared."""
