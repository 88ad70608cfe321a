"""What an audit says of the pixels of images; of their ranges, `from_folder` says the same."""

import cv2
import numpy as np
import pytest

from fastunet.checks.audit import audit
from fastunet.data.dataloaders import ImageMaskDataLoaders
from fastunet.errors import ImageReadError

SIZE = (96, 128)


@pytest.fixture
def folder(tmp_path, draw_blobs):
    """Write grey images, each by `save(file without suffix, (96, 96) uint8)`."""

    def write(save, n=6):
        for kind in ("images", "masks"):
            (tmp_path / "data" / kind).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            image, mask = draw_blobs(np.random.default_rng(i), (96, 96), 2, 1)
            save(i, str(tmp_path / f"data/images/{i}"), image[..., 0])
            cv2.imwrite(str(tmp_path / f"data/masks/{i}.png"), mask * 255)
        return tmp_path / "data"

    return write


def in_turn(i, file, image):
    cv2.imwrite(f"{file}.png", image.astype(np.uint16) * 257 if i % 2 else image)


def findings(root, **how):
    return {f.code: f for f in audit(root, progress=False, **how).findings}


def load(root, **how):
    return ImageMaskDataLoaders.from_folder(root, size=32, bs=2, progress=False, **how)


def test_mixed_depths_are_told_by_audit_and_by_training(folder):
    root = folder(in_turn)
    finding = findings(root)["mixed-depth"]
    assert finding.severity == "warning"
    assert finding.files == ("images/1.png", "images/3.png", "images/5.png")
    assert "3 of uint8" in finding.message
    with pytest.warns(UserWarning, match="numbers of different types"):
        dls = load(root)
    assert dict(dls.preprocess.full_scale) == {"uint8": 255, "uint16": 65_535}


def test_what_is_refused_in_training_is_an_error_of_audit_until_it_is_answered(folder):
    root = folder(lambda i, file, image: np.save(f"{file}.npy", image / (255.0 if i < 2 else 1)))
    finding = findings(root)["mixed-range"]
    assert finding.severity == "error"
    assert finding.files == ("images/0.npy", "images/1.npy")
    with pytest.raises(ImageReadError, match="none in between"):
        load(root)
    assert "mixed-range" not in findings(root, scaling="percentile")
    load(root, scaling="percentile")


def holed(i, file, image):
    pixels = image / np.float32(255)
    pixels[:20] = -9999
    np.save(f"{file}.npy", pixels if i else np.full_like(pixels, -9999))


def test_no_data_is_told_with_its_value_and_left_out_of_the_statistics(folder):
    root = folder(holed)
    report = audit(root, progress=False)
    codes = {f.code: f for f in report.findings}
    assert "-9999 in 6 images" in codes["nodata"].message
    assert codes["only-nodata"].files == ("images/0.npy",)
    assert 0 < report.mean[0] < 1
    assert "near-duplicate" not in codes
    with pytest.warns(UserWarning, match="No data: -9999"):
        dls = load(root)
    batch, _ = dls.one_batch()
    assert float(batch.abs().max()) < 10


def test_eight_bit_images_are_not_asked(folder):
    root = folder(lambda i, file, image: cv2.imwrite(f"{file}.png", image // (1 + 100 * (i % 2))))
    assert not {"mixed-depth", "mixed-range", "nodata"} & findings(root).keys()


def test_the_command_line_says_and_takes_it(folder, run, in_tmp):
    folder(lambda i, file, image: np.save(f"{file}.npy", image / (255.0 if i < 2 else 1)))
    code, out, _ = run("audit", "data")
    assert code == 1
    assert "--scaling percentile" in out
    code, out, _ = run("audit", "data", "--scaling", "percentile")
    assert code == 0
    assert out.splitlines()[-1] == "No errors. Next: fastunet train data --scaling percentile"
    code, out, err = run(
        "train", "data", "--scaling", "percentile", "--epochs", "1", "--size", "32", "--width", "2"
    )
    assert (code, "Values:  float64 values" in out) == (0, True), err


# --- NaN, one colour, channels --------------------------------------------------------------------


def test_pixels_that_are_no_numbers_are_an_error(write_pairs, read, files):
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


def test_a_picture_of_one_colour_is_a_warning(write_pairs, write, found, files):
    root = write_pairs(4, size=SIZE)
    write(root / "images/02.png", np.full((*SIZE, 3), 80, np.uint8))
    report = audit(root)
    assert found(report)["constant-image"] == "warning"
    assert files(report, "constant-image") == {"images/02.png"}


def test_grey_among_colour_is_a_note_and_five_bands_among_three_an_error(
    write_pairs, read, write, found
):
    root = write_pairs(4, size=SIZE)
    write(root / "images/02.png", read(root / "images/02.png")[..., 0])
    assert found(audit(root)) == {"mixed-channels": "note"}
    (root / "images/02.png").unlink()
    np.save(root / "images/02.npy", np.zeros((*SIZE, 5), np.uint8))
    assert found(audit(root))["mixed-channels"] == "error"
