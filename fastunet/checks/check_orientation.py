"""The check of which way up photos are."""

from collections.abc import Iterator

from fastunet.checks.check import CheckContext, check
from fastunet.checks.finding import Finding, Severity
from fastunet.checks.orientation import ANSWERS, by_size, fit, tell
from fastunet.scan.agreement import better


@check(needs="headers")
def check_orientation(context: CheckContext) -> Iterator[Finding]:
    """Turned photos of which the size does not tell whether their masks are turned too."""
    undecided = [f for f in context.stats if f.undecided]
    if not undecided or context.orientation:
        return
    sizes = by_size(context.stats)
    agreements = [f.agreement for f in undecided if f.agreement]
    contents = better(agreements)
    used = sizes or "upright"
    files = [f.pair.image for f in undecided]
    told, ask = tell(undecided), f"Say which is right: {ANSWERS}."
    severity: Severity = "warning"
    quick = "" if agreements else " (without --quick, their contents are compared)"
    then = f"They are read upright{quick}."
    if contents and contents != used:
        severity, then = "error", fit(contents)
    elif contents or sizes:
        why = fit(contents) if contents else "The other photos say so by their sizes."
        how = "turned upright" if used == "upright" else "as stored"
        severity, then, ask = "note", f"{why} They are read {how}.", "Nothing."
    message = "{told} {then}"
    yield from context.report(
        severity, "exif-orientation", message, ask, files, told=told, then=then
    )
