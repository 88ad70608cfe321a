"""Callbacks whose errors reach the user in their own words."""

from fastai.callback.core import Callback

from fastunet.errors import FastunetError


class PlainCallback(Callback):
    """A fastai callback without fastai's "Exception occured in ..." before a message for users."""

    def __call__(self, event_name):
        try:
            return super().__call__(event_name)
        except FastunetError as error:
            _, _, message = str(error).partition(f"event `{event_name}`:\n\t")
            if message:
                error.args = (message,)
            raise
