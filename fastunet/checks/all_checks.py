"""Every check there is, in the order in which their findings are reported."""

from fastunet.checks import (
    check_alignment,
    check_classes,
    check_detail,
    check_duplicates,
    check_files,
    check_groups,
    check_orientation,
    check_pixels,
)
from fastunet.checks.check import Check, CheckContext
from fastunet.checks.finding import Finding

_MODULES = (
    check_files,
    check_orientation,
    check_groups,
    check_pixels,
    check_duplicates,
    check_alignment,
    check_classes,
    check_detail,
)

CHECKS = [one for module in _MODULES for one in vars(module).values() if isinstance(one, Check)]


def run_checks(context: CheckContext) -> list[Finding]:
    """The findings of all checks of which the needs have been read."""
    checks = [check for check in CHECKS if check.needs in context.known]
    return [finding for check in checks for finding in check(context)]
