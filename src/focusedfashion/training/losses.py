"""The loss of a group of labels, and what it does for rare ones.

Every choice leaves what the network says of a picture where it was at prediction: only training changes, and the
thresholds are fitted on validation rows afterwards.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from focusedfashion.training.recipe import Imbalance

MAX_WEIGHT = 100.0  # of a positive: a label with one row in ten thousand would else decide every step


class GroupLoss(nn.Module):
    """Logits float (n, labels) of one group -> a scalar, by the recipe's choices.

    `loss`:

    - "plain": cross-entropy of an exclusive group (see `count_allowed`), binary cross-entropy of another one.
    - "focal": examples that are right already count less, by (1 - p)^gamma (Lin et al. 2017, arXiv:1708.02002).
    - "asymmetric": only easy negatives count less, by p^gamma_negative, and those below `margin` not at all (Ridnik et
      al. 2021, arXiv:2009.14119). For groups that are not exclusive.
    - "logit-adjustment": training adds tau * log of a label's share to its logit, so that what the network says itself
      has the shares taken out (Menon et al. 2021, arXiv:2007.07314). A label of a group that is not exclusive is a
      problem of two classes: its log odds are added.

    `weights`:

    - "positive": a rare label's rows count more, inversely to how many there are (King & Zeng 2001, "Logistic
      regression in rare events data"): negatives / positives of a label, rows / (labels * positives) of a class.
    - "effective": the same with the effective number (1 - beta^n) / (1 - beta) in place of n, since further pictures of
      a label bring less and less (Cui et al. 2019, arXiv:1901.05555).

    Weights are at most MAX_WEIGHT.
    """

    weight: Tensor
    offset: Tensor

    def __init__(self, settings: Imbalance, exclusive: bool, positives: Tensor, rows: Tensor) -> None:
        """`positives` float (labels,): training rows that have the label; `rows` float (labels,): that say anything."""
        super().__init__()
        self.settings, self.exclusive = settings, exclusive
        positives = positives.double().clamp(min=1)
        negatives = (rows.double() - positives).clamp(min=1)
        if settings.weights == "effective":
            weighed_positives, weighed_negatives = (_count_effective(n, settings.beta) for n in (positives, negatives))
        else:
            weighed_positives, weighed_negatives = positives, negatives
        if exclusive:
            weight = weighed_positives.sum() / (len(positives) * weighed_positives)
            odds = (positives / positives.sum()).log()
        else:
            weight = weighed_negatives / weighed_positives
            odds = (positives / negatives).log()
        self.weighted = settings.weights != "none"
        self.adjusted = settings.loss == "logit-adjustment"
        self.register_buffer("weight", weight.clamp(max=MAX_WEIGHT).float(), persistent=False)
        self.register_buffer("offset", (settings.tau * odds).float(), persistent=False)

    def forward(self, logits: Tensor, allowed: Tensor, known: Tensor | None) -> Tensor:
        """`allowed` bool (n, labels): what a row may have, or has; `known` of the same shape: where `has` is known."""
        logits = logits.float() + self.offset if self.adjusted else logits.float()
        if self.exclusive:
            return self._count_exclusive(logits, allowed)
        losses = self._count_each(logits, allowed.float())
        if known is None or known.all():
            return losses.mean()
        return (losses * known).sum() / known.sum().clamp(min=1)

    def _count_exclusive(self, logits: Tensor, allowed: Tensor) -> Tensor:
        if not self.weighted and self.settings.loss != "focal":
            return count_allowed(logits, allowed)
        known = allowed.any(dim=1)
        if not known.any():
            return logits.sum() * 0
        logits, allowed = logits[known], allowed[known]
        losses = logits.logsumexp(dim=1) - logits.masked_fill(~allowed, -math.inf).logsumexp(dim=1)
        if self.settings.loss == "focal":
            losses = (1 - (-losses).exp()).clamp(min=0) ** self.settings.gamma * losses
        if not self.weighted:
            return losses.mean()
        weights = (allowed * self.weight).sum(dim=1) / allowed.sum(dim=1)
        return (weights * losses).sum() / weights.sum()

    def _count_each(self, logits: Tensor, truth: Tensor) -> Tensor:
        """float (n, labels)"""
        weight = self.weight if self.weighted else None
        if self.settings.loss == "asymmetric":
            shifted = (logits.sigmoid() - self.settings.margin).clamp(min=0)
            negative = shifted**self.settings.gamma_negative * torch.log1p(-shifted.clamp(max=1 - 1e-6))
            positive = logsigmoid(logits) if weight is None else weight * logsigmoid(logits)
            return -(truth * positive + (1 - truth) * negative)
        losses = binary_cross_entropy_with_logits(logits, truth, reduction="none")
        if self.settings.loss == "focal":
            losses = (1 - (-losses).exp()).clamp(min=0) ** self.settings.gamma * losses
        return losses if weight is None else losses * (1 + truth * (weight - 1))


def count_allowed(logits: Tensor, allowed: Tensor) -> Tensor:
    """-log of the probability that falls among the allowed labels, mean over the rows that have any; a scalar.

    `logits` float (n, labels), `allowed` bool (n, labels). With one allowed label it is cross-entropy; with several it
    is the likelihood of a partial label (Jin & Ghahramani, NIPS 2002); rows without a label do not count.
    """
    known = allowed.any(dim=1)
    if not known.any():
        return logits.sum() * 0
    logits, allowed = logits[known].float(), allowed[known]
    among = logits.masked_fill(~allowed, -math.inf).logsumexp(dim=1)
    return (logits.logsumexp(dim=1) - among).mean()


def _count_effective(n: Tensor, beta: float) -> Tensor:
    return (1 - beta**n) / (1 - beta)
