"""The audit of a data set: what it holds, and what is wrong with it, before training."""

from fastunet.checks.audit import Audit, audit
from fastunet.checks.finding import Finding

__all__ = ["Audit", "Finding", "audit"]
