"""The audit of a data set: what it holds, and what is wrong with it, before training."""

from fastunet.data.audit.findings import Finding
from fastunet.data.audit.run import Audit, audit

__all__ = ["Audit", "Finding", "audit"]
