"""Look at a fit while it goes on, at hardly any cost, and note what was seen in a `FitRecord`."""

import torch
from fastai.learner import Learner
from torch import Tensor
from torch.nn.utils import get_total_norm

from fastunet.callback.fit_record import FitRecord, GradientLook, named, predicts_one_class
from fastunet.callback.fit_settings import planned_rates
from fastunet.callback.not_finite import logits_of
from fastunet.labels import VOID
from fastunet.metrics.confusion import Confusion
from fastunet.metrics.learner_metrics import own_samples

_GRADIENTS = 10  # batches between looks at the gradients, after as many in a row


class FitWatch:
    """Sees masks, gradients, predictions and scores of one fit.

    Masks are looked at until one holds foreground, gradients in every tenth batch, and predictions
    are those that the metrics count anyway. What lies on a device that is no CPU is read once per
    epoch. Nothing is changed, and no random number is drawn.
    """

    def __init__(
        self,
        learn: Learner,  # whose fit begins
        suggested_rate: float | None = None,  # by lr_find, for these weights
    ):
        codec = getattr(learn.dls, "codec", None)
        self.record = FitRecord(
            epochs=learn.n_epoch,
            classes=codec.classes if codec else (),
            monitor=getattr(learn, "monitored", "valid_loss"),
            training_images=len(getattr(learn.dls, "train_ds", ())),
            rate=float(planned_rates(learn).max()),
            suggested_rate=suggested_rate,
        )
        self._foreground: Tensor | None = None  # () bool on the device: one mask has some
        self._gradients: list[tuple[int, Tensor]] = []  # batch, and (2,) norm and loss
        shared = next(filter(None, map(_confusion_of, learn.metrics)), None)
        self._counts_itself = shared is None
        self._confusion = shared or Confusion()

    def before_validate(self) -> None:
        """Predictions are counted anew."""
        if self._counts_itself:
            self._confusion.reset()

    def after_training_loss(self, learn: Learner) -> None:
        """Look at the masks of the batch."""
        if self.record.has_foreground:
            return
        target = learn.yb[0]
        found = ((target > 0) & (target != VOID)).any()
        self._foreground = found if self._foreground is None else self._foreground | found
        self.record.images += len(target)
        if target.device.type == "cpu":
            self.record.has_foreground = bool(found)

    def before_step(self, learn: Learner) -> None:
        """Look at the gradients, as they are applied."""
        step = self.record.batches
        self.record.batches += 1
        if step >= _GRADIENTS and step % _GRADIENTS:
            return
        gradients = [p.grad for p in learn.model.parameters() if p.grad is not None]
        if gradients:
            seen = [get_total_norm(gradients), learn.loss.detach().mean()]
            self._gradients.append((step, torch.stack([value.float() for value in seen])))

    def after_validation_batch(self, learn: Learner) -> None:
        """Count predictions, where no metric does."""
        if self._counts_itself and len(learn.yb):
            threshold = getattr(learn, "threshold", 0.5)
            own = own_samples(learn)
            self._confusion.update_from_logits(
                logits_of(learn), learn.yb[0], own.stop, threshold, own.start or 0
            )

    def after_train(self) -> None:
        """Read what lies on the device."""
        if self._foreground is not None:
            self.record.has_foreground |= bool(self._foreground)
        if self._gradients:
            values = torch.stack([pair for _, pair in self._gradients]).tolist()
            self.record.gradients += [
                GradientLook(batch, norm, loss)
                for (batch, _), (norm, loss) in zip(self._gradients, values, strict=True)
            ]
            self._gradients.clear()

    def after_epoch(self, learn: Learner) -> None:
        """Note the scores, and what was predicted."""
        recorder, record = learn.recorder, self.record
        names = list(recorder.metric_names[1:])
        names = names[:-1] if recorder.add_time else names
        whole = [values for values in recorder.values if len(values) == len(names)]
        record.scores = [named(values, names) for values in whole]
        if not record.classes or len(recorder.values[-1]) < len(names):
            return  # a validation that was skipped has counted nothing
        record.confusion = self._confusion.gather().counts.numpy()
        collapsed = predicts_one_class(record.confusion)
        record.one_class = record.one_class + 1 if collapsed else 0


def _confusion_of(metric: object) -> Confusion | None:
    """The count that a metric reads, where it is one of ours."""
    confusion = getattr(metric, "confusion", None)
    return confusion if isinstance(confusion, Confusion) else None
