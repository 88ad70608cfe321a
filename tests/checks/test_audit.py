"""What an audit finds: one fault each, in data that are otherwise right."""

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastunet import find_pairs
from fastunet._util.threads import in_threads
from fastunet.checks.audit import audit
from fastunet.checks.duplicates import groups_of, near_duplicates, thumbnail
from fastunet.errors import PairingError

SIZE = (96, 128)


def read(file: Path) -> np.ndarray:
    return cv2.imread(str(file), cv2.IMREAD_UNCHANGED)


def write(file: Path, pixels: np.ndarray) -> None:
    assert cv2.imwrite(str(file), pixels)


def split(root: Path, valid: list[str]) -> Path:
    """The folder's pairs in train/ and val/ of a new folder beside it."""
    parts = root.with_name(root.name + "-split")
    for kind in ("images", "masks"):
        for part in ("train", "val"):
            (parts / part / kind).mkdir(parents=True)
        for file in sorted((root / kind).iterdir()):
            shutil.copy(file, parts / ("val" if file.stem in valid else "train") / kind)
    return parts


def found(report) -> dict[str, str]:
    return {finding.code: finding.severity for finding in report.findings}


def files(report, code: str) -> set[str]:
    return {name for f in report.findings if f.code == code for name in f.files}


# --- data that are right --------------------------------------------------------------------------


@pytest.mark.parametrize("values", [(0, 255), (0, 1, 2), (0, 1, 2, 255)])
def test_clean_data_have_no_findings(write_pairs, values):
    report = audit(split(write_pairs(16, values, SIZE), ["01", "05", "09", "12"]))
    assert found(report) == {}
    assert report.ok
    assert report.void == ((255,) if 255 in values and len(values) > 2 else ())


def test_a_clean_audit_says_what_the_data_are(write_pairs):
    root = write_pairs(10, size=SIZE)
    report = audit(root)
    assert report.to_dict() == {
        "layout": "images + masks", "pairs": 10, "splits": {}, "task": "binary",
        "encoding": "two values", "classes": ["background", "foreground"], "void": [],
        "channels": 3, "bit_depth": 8, "sizes": {"96x128": 10}, "findings": [],
        "class_frequencies": report.class_frequencies, "resolution": report.resolution.to_dict(),
    }  # fmt: skip
    share = np.mean([read(file) == 255 for file in (root / "masks").iterdir()])
    assert report.class_frequencies["all"]["foreground"] == pytest.approx(share, abs=1e-6)
    pixels = np.stack([read(file) for file in (root / "images").iterdir()])[..., ::-1]
    assert report.mean == pytest.approx(pixels.mean(axis=(0, 1, 2)), rel=1e-5)
    assert report.std == pytest.approx(pixels.std(axis=(0, 1, 2)), rel=1e-5)
    text = str(report)
    assert "96x128 (height x width), 3 channels, 8 bit" in text
    assert text.endswith(f"No errors. Next: fastunet train {root}")


def test_pairs_may_be_given_instead_of_a_folder(write_pairs):
    root = write_pairs(6, size=SIZE)
    (root / "masks/02.png").write_bytes(b"")
    for pairs in (find_pairs(root), list(find_pairs(root))):
        assert files(audit(pairs), "empty-file") == {"masks/02.png"}


# --- where nothing can be understood --------------------------------------------------------------


def test_a_missing_folder_or_layout_is_refused(tmp_path):
    with pytest.raises(PairingError, match="missing"):
        audit(tmp_path / "nowhere")
    with pytest.raises(PairingError):
        audit(tmp_path)


def test_folders_in_which_nothing_pairs_are_an_error_in_the_report(write_pairs):
    root = write_pairs(3)
    for i, file in enumerate(sorted((root / "masks").iterdir())):
        file.rename(file.with_name("abc"[i] + "zzz.png"))
    report = audit(root)
    assert found(report) == {"nothing-pairs": "error"}
    assert report.pairs == 0
    assert "1 error to mend" in str(report)
    json.dumps(report.to_dict())


def test_masks_that_cannot_be_understood_are_an_error_and_the_rest_is_told(write_pairs):
    root = write_pairs(4, size=SIZE)
    for file in (root / "masks").iterdir():
        write(file, np.zeros(SIZE, np.uint8))
    report = audit(root)
    assert found(report) == {"masks-not-understood": "error"}
    assert "hold only 0" in report.errors[0].message
    assert report.task is None
    assert report.sizes == {"96x128": 4}


def test_class_names_that_do_not_fit_are_an_error(write_pairs):
    report = audit(write_pairs(4, (0, 100, 200), SIZE), classes=["a", "b"])
    assert found(report) == {"classes-do-not-fit": "error"}
    assert "0, 100, 200" in report.errors[0].message


def test_every_file_may_be_broken(write_pairs):
    root = write_pairs(3)
    for kind in ("images", "masks"):
        for file in (root / kind).iterdir():
            file.write_bytes(b"")
    report = audit(root)
    assert len(files(report, "empty-file")) == 6
    report.to_html(root / "report.html")


# --- pictures -------------------------------------------------------------------------------------


def test_pixels_that_are_no_numbers_are_an_error(write_pairs):
    root = write_pairs(4, size=SIZE)
    for file in sorted((root / "images").iterdir()):
        pixels = read(file).astype(np.float32)
        if file.stem == "01":
            pixels[3, 4] = np.nan
            pixels[5, 6] = np.inf
        np.save(file.with_suffix(".npy"), pixels)
        file.unlink()
    report = audit(root)
    assert files(report, "not-finite") == {"images/01.npy"}
    assert "in 2 pixels" in report.errors[0].message
    assert report.bit_depth == 32


def test_a_picture_of_one_colour_is_a_warning(write_pairs):
    root = write_pairs(4, size=SIZE)
    write(root / "images/02.png", np.full((*SIZE, 3), 80, np.uint8))
    report = audit(root)
    assert found(report)["constant-image"] == "warning"
    assert files(report, "constant-image") == {"images/02.png"}


def test_grey_among_colour_is_a_note_and_five_bands_among_three_an_error(write_pairs):
    root = write_pairs(4, size=SIZE)
    write(root / "images/02.png", read(root / "images/02.png")[..., 0])
    assert found(audit(root)) == {"mixed-channels": "note"}
    (root / "images/02.png").unlink()
    np.save(root / "images/02.npy", np.zeros((*SIZE, 5), np.uint8))
    assert found(audit(root))["mixed-channels"] == "error"


# --- the same picture twice -----------------------------------------------------------------------


def copy_pair(root: Path, old: str, new: str, pixels=None) -> None:
    for kind in ("images", "masks"):
        shutil.copy(root / kind / f"{old}.png", root / kind / f"{new}.png")
    if pixels is not None:
        write(root / "images" / f"{new}.png", pixels)


def test_copies_are_a_warning_before_a_split_an_error_across_it_and_a_note_within(write_pairs):
    root = write_pairs(10, size=SIZE)
    copy_pair(root, "03", "copy")
    assert found(audit(root)) == {"duplicate": "warning"}
    assert found(audit(split(root, ["copy", "01"]))) == {"duplicate-across-splits": "error"}
    shutil.rmtree(root.with_name("data-split"))
    assert found(audit(split(root, ["01", "02"]))) == {"duplicate": "note"}


def test_one_picture_with_two_masks_is_an_error(write_pairs):
    root = write_pairs(6, size=SIZE)
    copy_pair(root, "03", "copy")
    write(root / "masks/copy.png", 255 - read(root / "masks/03.png"))
    report = audit(root)
    assert found(report)["conflicting-masks"] == "error"
    assert files(report, "conflicting-masks") == {"masks/03.png", "masks/copy.png"}


CHANGES = {
    "brighter": lambda image: cv2.convertScaleAbs(image, alpha=1.1, beta=5),
    "compressed": lambda image: cv2.imdecode(
        cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR
    ),
    "shifted by a pixel": lambda image: np.roll(image, 1, axis=1),
    "noisy": lambda image: cv2.add(image, np.random.default_rng(1).integers(
        0, 12, image.shape, dtype=np.uint8)),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_picture_that_looks_the_same_is_found_across_the_split(write_pairs, change):
    root = write_pairs(12, size=SIZE)
    copy_pair(root, "03", "again", CHANGES[change](read(root / "images/03.png")))
    report = audit(split(root, ["again", "01", "07"]))
    assert found(report) == {"near-duplicate-across-splits": "warning"}
    assert files(report, "near-duplicate-across-splits") == {
        "train/images/03.png", "val/images/again.png"
    }  # fmt: skip


def test_dark_pictures_and_equal_lighting_are_no_duplicates():
    """400 dark fields with some stars under one vignette: alike to the eye, but not copies."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    light = 12 * (1 - 0.4 * (x**2 + y**2))
    thumbs = []
    for _ in range(400):
        picture = light + rng.normal(0, 1, light.shape)
        for py, px in rng.integers(4, 124, (12, 2)):
            picture[py - 3 : py + 3, px - 3 : px + 3] += 40
        thumbs.append(thumbnail(picture.astype(np.float32)))
    assert near_duplicates(thumbs) == []
    empty = [thumbnail((light + rng.normal(0, 1, light.shape)).astype(np.float32)) for _ in thumbs]
    assert near_duplicates(empty) == []


def retina(seed: int, side: int = 256) -> np.ndarray:
    """A bright disc on black with a spot and some vessels, as fundus cameras see it."""
    return retina_and_vessels(seed, side)[0]


def retina_and_vessels(seed: int, side: int = 256) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    inside = np.hypot(x, y) < 0.9
    spot = np.array([rng.choice([-0.3, 0.3]), rng.normal(0, 0.04)])
    near = (x - spot[0]) ** 2 + (y - spot[1]) ** 2
    picture = inside * (140 * (1 - 0.35 * (x**2 + y**2)) + 70 * np.exp(-near / 0.012))
    vessels = np.zeros((side, side), np.uint8)
    for _ in range(8):
        point, angle = spot, rng.uniform(0, 2 * np.pi)
        path = [point]
        for _ in range(40):
            angle += rng.normal(0, 0.2)
            point = point + 0.04 * np.array([np.cos(angle), np.sin(angle)])
            path.append(point)
        vessel = np.zeros((side, side), np.uint8)
        pixels = np.int32((np.array(path) + 1) / 2 * side)
        cv2.polylines(vessel, [pixels], False, 1, int(rng.integers(2, 5)))
        picture[(vessel > 0) & inside] -= 25
        vessels[(vessel > 0) & inside] = 255
    noisy = picture + rng.normal(0, 2, picture.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), vessels


def test_retinas_are_not_copies_of_each_other_but_a_copy_among_them_is_found():
    pictures = [retina(seed) for seed in range(40)]
    assert near_duplicates([thumbnail(picture) for picture in pictures]) == []
    changed = [CHANGES[name](pictures[3]) for name in ("brighter", "compressed", "noisy")]
    changed.append(cv2.resize(pictures[3], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    for copy in changed:
        grey = copy if copy.ndim == 2 else cv2.cvtColor(copy, cv2.COLOR_BGR2GRAY)
        thumbs = [thumbnail(picture) for picture in [*pictures, grey]]
        assert near_duplicates(thumbs) == [(3, 40)]


def test_a_few_copies_of_every_picture_are_found():
    """Here a picture usually has copies, so that what is usual says nothing."""
    pictures = [retina(seed) for seed in range(4)]
    pictures = [CHANGES["compressed"](picture)[..., 0] for picture in pictures] + pictures
    thumbs = [thumbnail(picture) for picture in pictures]
    assert near_duplicates(thumbs) == [(i, i + 4) for i in range(4)]


def test_near_duplicates_are_those_of_a_comparison_of_all_with_all():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (60, 9, 9), dtype=np.uint8)
    pictures = [cv2.resize(picture, (64, 64)) for picture in coarse]
    thumbs = [thumbnail(picture) for picture in [*pictures, *pictures[10:20]]]
    assert near_duplicates(thumbs) == [(i, i + 50) for i in range(10, 20)]


def test_linked_pictures_are_one_group():
    assert groups_of([(0, 3), (3, 5), (1, 2)]) == [[0, 3, 5], [1, 2]]
    assert groups_of([]) == []


def test_groups_torn_by_the_split_are_a_warning_and_a_note_without_one(write_pairs):
    root = write_pairs(12, size=SIZE)
    for kind in ("images", "masks"):
        for file in (root / kind).iterdir():
            number = int(file.stem)
            file.rename(file.with_name(f"car{number // 3}_{number % 3}.png"))
    report = audit(root)
    assert found(report) == {"groups": "note"}
    assert 'groups="auto"' in report.findings[0].remedy
    assert found(audit(split(root, ["car1_0", "car1_1", "car1_2"]))) == {}
    shutil.rmtree(root.with_name("data-split"))
    torn = audit(split(root, ["car1_0", "car2_0"]))
    assert found(torn) == {"group-across-splits": "warning"}
    assert "car1 in train, valid; car2 in train, valid" in torn.findings[0].message


# --- masks ----------------------------------------------------------------------------------------


def test_empty_and_void_masks_and_the_reports_of_them(write_pairs):
    root = write_pairs(12, (0, 1, 255), SIZE)
    write(root / "masks/03.png", np.zeros(SIZE, np.uint8))
    write(root / "masks/04.png", np.full(SIZE, 255, np.uint8))
    report = audit(root)
    assert found(report) == {"empty-mask": "note", "void-mask": "warning"}
    assert files(report, "empty-mask") == {"masks/03.png"}
    assert files(report, "void-mask") == {"masks/04.png"}
    assert report.void == (255,)


def test_a_rare_class_and_one_that_a_part_lacks(write_pairs):
    root = write_pairs(12, (0, 1, 2), SIZE)
    mask = read(root / "masks/05.png")
    mask[:6, :8] = 3
    write(root / "masks/05.png", mask)
    report = audit(split(root, ["01", "02", "03"]), classes=["soil", "crop", "weed", "stone"])
    assert found(report) == {"rare-class": "warning", "missing-class": "warning"}
    rare, missing = sorted(report.findings, key=lambda finding: finding.code, reverse=True)
    assert "stone (0.033 % of the pixels, 1 image)" in rare.message
    assert rare.files == ("train/masks/05.png",)
    assert "valid: stone" in missing.message


def test_a_class_that_is_nowhere_is_a_warning(write_pairs):
    table = {"soil": 0, "crop": 1, "weed": 2}
    report = audit(write_pairs(6, (0, 1), SIZE), classes=table)
    assert found(report) == {"absent-class": "warning"}
    assert "weed" in report.findings[0].message


def test_smoothed_masks_are_told_as_such(write_pairs):
    root = write_pairs(12, (0, 80, 160, 240), SIZE)
    for file in (root / "masks").iterdir():
        small = cv2.resize(read(file), (64, 48), interpolation=cv2.INTER_AREA)
        write(file, cv2.resize(small, SIZE[::-1]))
    report = audit(root)
    told = {finding.code: finding.message for finding in report.errors}
    assert "saved with smoothing" in told["masks-not-understood"]


def test_objects_that_are_numbered_are_one_class_when_one_says_so(write_pairs):
    root = write_pairs(8, size=SIZE)
    for file in (root / "masks").iterdir():
        write(file, cv2.connectedComponents(read(file))[1].astype(np.uint8))
    report = audit(root, instances=True)
    assert (report.ok, report.task, report.encoding) == (True, "binary", "instance map")


# --- masks that lie wrong -------------------------------------------------------------------------


def move(mask: np.ndarray, down: int, right: int) -> np.ndarray:
    return np.roll(mask, (down, right), (0, 1))


@pytest.mark.parametrize("values", [(0, 255), (0, 1, 2)])
def test_masks_that_are_shifted_as_a_whole(write_pairs, values):
    root = write_pairs(10, values, (160, 200))
    assert found(audit(root)) == {}
    for file in (root / "masks").iterdir():
        write(file, move(read(file), 5, -4))
    report = audit(root)
    assert found(report) == {"shifted": "warning"}
    assert "moved by 5 pixels up and 4 right" in report.findings[0].message


def test_one_mask_that_is_shifted(write_pairs):
    root = write_pairs(12, size=(160, 200))
    write(root / "masks/07.png", move(read(root / "masks/07.png"), -9, 7))
    report = audit(root)
    assert found(report) == {"shifted-mask": "warning"}
    assert files(report, "shifted-mask") == {"masks/07.png"}


def test_faint_vessels_fit_their_retina_and_exchanged_ones_are_found(tmp_path):
    root = tmp_path / "data"
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    drawn = [retina_and_vessels(seed) for seed in range(16)]
    for number, (picture, vessels) in enumerate(drawn):
        write(root / f"images/{number:02d}.png", picture)
        write(root / f"masks/{number:02d}.png", vessels)
    assert found(audit(root)) == {}
    write(root / "masks/03.png", drawn[4][1])
    write(root / "masks/04.png", drawn[3][1])
    report = audit(root)
    assert found(report) == {"mask-of-another": "warning"}
    assert files(report, "mask-of-another") == {"masks/03.png", "masks/04.png"}


def test_masks_that_were_swapped_and_one_that_was_flipped(write_pairs):
    root = write_pairs(16, size=(160, 200))
    three, four = read(root / "masks/03.png"), read(root / "masks/04.png")
    write(root / "masks/03.png", four)
    write(root / "masks/04.png", three)
    write(root / "masks/09.png", read(root / "masks/09.png")[::-1])
    report = audit(root)
    assert found(report) == {"mask-of-another": "warning"}
    assert files(report, "mask-of-another") == {"masks/03.png", "masks/04.png", "masks/09.png"}


def test_one_mask_that_is_turned_inside_out(write_pairs):
    root = write_pairs(12, size=SIZE)
    write(root / "masks/07.png", 255 - read(root / "masks/07.png"))
    report = audit(root)
    assert found(report) == {"inverted": "warning"}
    assert files(report, "inverted") == {"masks/07.png"}


def test_dark_objects_among_bright_ones_are_not_turned_inside_out(write_pairs):
    root = write_pairs(12, size=SIZE)
    for name in ("03", "07"):
        write(root / f"images/{name}.png", 255 - read(root / f"images/{name}.png"))
    assert found(audit(root)) == {}


# --- the page -------------------------------------------------------------------------------------


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.images, self.sources = [], 0, []

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images += 1
            self.sources.append(dict(attrs)["src"])
        elif tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_stands_alone_and_shows_the_files_of_findings(write_pairs):
    root = write_pairs(6, size=SIZE)
    evil = "<b>&'01'"
    for kind in ("images", "masks"):
        (root / kind / "01.png").rename(root / kind / f"{evil}.png")
    stray = read(root / "masks/02.png")
    stray[0, 0] = 77
    write(root / "masks/02.png", stray)
    page = audit(root).to_html(root / "report.html")
    text = page.read_text()
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.images == 6 + 1  # all pairs, and the one of the finding
    assert all(source.startswith("data:image/jpeg;base64,") for source in tags.sources)
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;" in text
    assert "http" not in text.replace("http-equiv", "")
    assert {file.name for file in root.iterdir()} == {"images", "masks", "report.html"}


def test_an_audit_of_many_files_keeps_little_of_each(write_pairs):
    """A record is some kilobytes (three thumbnails), whatever the size of the pictures."""
    import pickle

    from fastunet.checks.examine import examine

    pairs = find_pairs(write_pairs(2, size=(600, 800)))
    for facts in in_threads(examine, pairs, progress=False):
        assert len(pickle.dumps(facts)) < 15_000
