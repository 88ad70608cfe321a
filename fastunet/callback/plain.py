"""Callbacks whose error messages reach the user without a preface by fastai."""

from fastai.callback.core import Callback

from fastunet.errors import FastunetError


class PlainCallback(Callback):
    """A fastai callback whose `FastunetError` keeps its message.

    fastai puts "Exception occured in `Class` when calling event `event`:" in front of each error.
    """

    def __call__(self, event_name):
        try:
            return super().__call__(event_name)
        except FastunetError as error:
            _, _, message = str(error).partition(f"event `{event_name}`:\n\t")
            if message:
                error.args = (message,)
            raise
