"""The affixes of image and mask names, found from the names: `_mask` of a.jpg and a_mask.png."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

from fastunet.pairs.file_names import stem_of
from fastunet.pairs.matching import Affix, Listing, Rule, by_nfc_name, without_affix

_SAMPLE = 100  # files that vote
_FOLDERS = 20  # sub-folders that they come from
_RARE = 0.05  # an affix that fewer of the files have is not "the same for the whole folder"
_NEIGHBOURS = 64  # names looked at behind one beginning: enough, since every file votes


def infer_rule(images: Listing, masks: Listing) -> Rule:
    """The rule that pairs most of a sample of the files; equal stems win a tie, then short affixes.

    `mask_7` for `img_7`, `x_gtFine_labelIds` for `x_leftImg8bit`, `seg_1_L` for `1`. Where both
    sides have an affix, it must end where a word ends, differ by more than a number, and pair at
    least half of the files: else any two names could be made to fit.
    """
    if sum(map(len, masks.values())) < sum(map(len, images.values())):
        swapped = infer_rule(masks, images)  # the smaller side has a partner more often
        return Rule(swapped.mask, swapped.image)
    images = {key: images[inner] for key, inner in by_nfc_name(images).items()}
    masks = {key: masks[inner] for key, inner in by_nfc_name(masks).items()}
    shared = _spread([inner for inner in images if inner in masks], _FOLDERS)
    voters = [
        (inner, stem_of(name))
        for inner in shared
        for name in _spread(images[inner], -(-_SAMPLE // len(shared)))
    ]
    known = {inner: sorted(map(stem_of, masks[inner])) for inner in shared}

    equal = sum(_holds(known[inner], stem) for inner, stem in voters)
    if equal == len(voters):
        return Rule()
    stems = [stem for _, stem in voters]
    others = [s for inner in shared for s in _spread(known[inner], -(-2 * _SAMPLE // len(shared)))]
    own_starts, other_starts = _common_starts(stems), _common_starts(others)
    votes: Counter[Rule] = Counter()
    for inner, stem in voters:
        votes.update(set(_longer_partners(stem, known[inner], other_starts)))
        votes.update(set(_shorter_partners(stem, known[inner], own_starts)))
    if max(votes.values(), default=0) < len(voters):  # else no need of the weaker evidence
        own_words, other_words = _common_words(stems), _common_words(others)
        two_sided: Counter[Rule] = Counter()
        for inner, stem in voters:
            two_sided.update(_word_partners(stem, known[inner], own_words, other_words))
        votes += Counter({rule: n for rule, n in two_sided.items() if 2 * n >= len(voters)})

    votes[Rule()] = equal
    return max(votes, key=lambda rule: (votes[rule], -rule.length, rule.image, rule.mask))


def _spread(items: list[str], count: int) -> list[str]:
    """About `count` of the items, evenly spread, the first among them."""
    return items[:: max(1, -(-len(items) // count))]


def _holds(names: list[str], name: str) -> bool:
    at = bisect_left(names, name)
    return at < len(names) and names[at] == name


def _beginning_with(names: list[str], start: str) -> Iterator[str]:
    at = bisect_left(names, start)
    for name in names[at : at + _NEIGHBOURS]:
        if not name.startswith(start):
            return
        yield name


def _common_starts(stems: list[str]) -> list[str]:
    """The beginnings that many stems share; "" first."""
    counts = Counter(stem[:i] for stem in stems for i in range(len(stem)))
    enough = _RARE * len(stems)
    return sorted((start for start, n in counts.items() if n >= enough), key=len)


def _longer_partners(stem: str, known: list[str], starts: list[str]) -> Iterator[Rule]:
    """Rules by which the partner is the whole stem with an affix."""
    for start in starts:
        for partner in _beginning_with(known, start + stem):
            yield Rule(mask=(start, partner[len(start) + len(stem) :]))


def _shorter_partners(stem: str, known: list[str], starts: list[str]) -> Iterator[Rule]:
    """Rules by which the stem is the whole of the partner's with an affix."""
    for start in starts:
        if stem.startswith(start):
            for end in range(len(start) + 1, len(stem) + 1):
                if _holds(known, stem[len(start) : end]):
                    yield Rule(image=(start, stem[end:]))


def _common_words(stems: list[str]) -> list[Affix]:
    """The affixes that many stems have, each ending where a word ends."""
    cuts = [[i for i in range(len(stem) + 1) if _word_ends(stem, i)] for stem in stems]
    starts, ends, both = Counter[str](), Counter[str](), Counter[Affix]()
    for stem, at in zip(stems, cuts, strict=True):
        starts.update(stem[:i] for i in at)
        ends.update(stem[i:] for i in at)
    enough = max(min(2, len(stems)), _RARE * len(stems))
    for stem, at in zip(stems, cuts, strict=True):
        begins = [i for i in at if starts[stem[:i]] >= enough]
        stops = [i for i in at if ends[stem[i:]] >= enough]
        both.update((stem[:i], stem[j:]) for i in begins for j in stops if i < j)
    return [affix for affix, n in both.most_common() if n >= enough]


def _word_partners(
    stem: str, known: list[str], own_words: list[Affix], other_words: list[Affix]
) -> Iterator[Rule]:
    """Rules by which stem and partner each have an affix that ends where a word ends."""
    for own in filter(any, own_words):
        core = without_affix(stem, own)
        for other in filter(any, other_words if core else ()):
            # `scan1_` and `scan2_` are different things, not an image and its mask
            differ = _without_numbers(own) != _without_numbers(other)
            if _holds(known, f"{other[0]}{core}{other[1]}") and differ:
                yield Rule(own, other)


def _word_ends(stem: str, at: int) -> bool:
    """Whether a word ends before position `at`: `img|_7`, `img_|7`, `img|7`, `scan|Left`."""
    if at in (0, len(stem)):
        return True
    left, right = stem[at - 1], stem[at]
    if not (left.isalnum() and right.isalnum()):
        return True
    return left.isdigit() != right.isdigit() or (left.islower() and right.isupper())


def _without_numbers(affix: Affix) -> list[str]:
    return [re.sub(r"\d+", "#", part) for part in affix]
