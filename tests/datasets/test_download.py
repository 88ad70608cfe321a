"""Public data sets, from local archives through the downloaders of fastai and torchvision."""

import hashlib
import socket
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastai.data.external import URLs, fastai_cfg
from torchvision.datasets import OxfordIIITPet, voc

from fastunet import samples
from fastunet.errors import DownloadError
from fastunet.pairs.find import find_pairs


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder, and the address at which this machine serves it."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=folder))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def archive(site: tuple[Path, str], name: str, files: dict[str, bytes | None]) -> tuple[str, str]:
    """(URL, md5) of a tar with the files; a picture where the content is None."""
    folder, address = site
    picture = cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes()
    with tarfile.open(folder / name, "w:gz" if name.endswith("gz") else "w") as tar:
        for path, content in files.items():
            file = folder / "content"
            file.write_bytes(picture if content is None else content)
            tar.add(file, path)
    return f"{address}/{name}", hashlib.md5((folder / name).read_bytes()).hexdigest()


@pytest.fixture
def local_archives(site, monkeypatch):
    """Small stand-ins of all data sets, where the libraries look for the real ones."""
    for key, name in (("CAMVID", "camvid"), ("CAMVID_TINY", "camvid_tiny")):
        files = {"images/1.png": None, "labels/1_P.png": None, "codes.txt": b"a\nb"}
        url, _ = archive(site, f"{name}.tgz", {f"{name}/{file}": c for file, c in files.items()})
        monkeypatch.setattr(URLs, key, url)
    pets = [
        archive(site, "images.tar.gz", {"images/Bombay_1.jpg": None}),
        archive(
            site,
            "annotations.tar.gz",
            {
                "annotations/trainval.txt": b"Bombay_1 1 1 1\n",
                "annotations/trimaps/Bombay_1.png": None,
            },
        ),
    ]
    monkeypatch.setattr(OxfordIIITPet, "_RESOURCES", pets)
    files = {
        "JPEGImages/1.jpg": None,
        "SegmentationClass/1.png": None,
        "ImageSets/Segmentation/train.txt": b"1\n",
    }
    url, md5 = archive(site, "voc.tar", {f"VOCdevkit/VOC2012/{f}": c for f, c in files.items()})
    entry = {**voc.DATASET_YEAR_DICT["2012"], "url": url, "md5": md5}
    monkeypatch.setitem(voc.DATASET_YEAR_DICT, "2012", entry)


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


FETCHED = {
    "camvid": "codes.txt images/1.png labels/1_P.png",
    "camvid_tiny": "codes.txt images/1.png labels/1_P.png",
    "oxford_pets": "annotations/trainval.txt annotations/trimaps/Bombay_1.png images/Bombay_1.jpg",
    "voc2012": "ImageSets/Segmentation/train.txt JPEGImages/1.jpg SegmentationClass/1.png",
}


@pytest.mark.parametrize("name", FETCHED)
def test_a_data_set_is_fetched_once_and_nothing_else_is_left(tmp_path, local_archives, name):
    cache = tmp_path / "cache"
    folder = getattr(samples, name)(cache)
    files = sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file())
    assert files == FETCHED[name].split()
    assert [found.name for found in (cache / "public").iterdir()] == [folder.name]
    assert len(find_pairs(folder)) == 1
    (tmp_path / "site").rename(tmp_path / "gone")
    assert getattr(samples, name)(cache) == folder


def test_fastai_keeps_its_own_settings(tmp_path, local_archives, monkeypatch):
    monkeypatch.setenv("FASTAI_HOME", str(tmp_path / "fastai"))
    fastai_cfg.cache_clear()
    before = dict(fastai_cfg().d)
    samples.camvid_tiny(tmp_path / "cache")
    assert dict(fastai_cfg().d) == before
    fastai_cfg.cache_clear()


def test_the_cache_folder_can_be_named_by_the_environment(tmp_path, local_archives, monkeypatch):
    monkeypatch.setenv("FASTUNET_CACHE", str(tmp_path / "mine"))
    assert samples.voc2012() == tmp_path / "mine" / "public" / "VOC2012"


@pytest.mark.parametrize("name", FETCHED)
def test_without_a_network_one_line_says_what_to_do(tmp_path, no_network, name):
    with pytest.raises(DownloadError) as caught:
        getattr(samples, name)(tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert "http" in message
    assert "could not be reached" in message
    assert str(tmp_path / "public") in message
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("name", ["oxford_pets", "voc2012"])
def test_a_damaged_archive_is_refused_and_not_kept(tmp_path, local_archives, name):
    for file in ("annotations.tar.gz", "voc.tar"):
        (tmp_path / "site" / file).write_bytes(b"not what was promised")
    with pytest.raises(DownloadError, match="came damaged"):
        getattr(samples, name)(tmp_path / "cache")
    assert list((tmp_path / "cache" / "public").iterdir()) == []


@pytest.mark.parametrize("checked", [True, False])
def test_a_damaged_archive_of_fastai_is_refused(tmp_path, local_archives, monkeypatch, checked):
    (tmp_path / "site" / "camvid_tiny.tgz").write_bytes(b"not what was promised")
    if checked:
        sums = {URLs.CAMVID_TINY: (2314212, "2cf6daf91b7a2083ecfa3e9968e9d915")}
        monkeypatch.setattr("fastdownload.core.read_checks", lambda module: sums)
    with pytest.raises(DownloadError, match="came damaged"):
        samples.camvid_tiny(tmp_path / "cache")


def test_a_fetch_that_broke_off_while_unpacking_is_not_taken_for_whole(tmp_path, local_archives):
    half = tmp_path / "cache" / "public" / ".oxford-iiit-pet.partial" / "oxford-iiit-pet"
    for part in ("images", "annotations"):
        (half / part).mkdir(parents=True)
    folder = samples.oxford_pets(tmp_path / "cache")
    assert (folder / "images" / "Bombay_1.jpg").is_file()


def test_carvana_says_how_to_get_it_and_is_found_when_it_is_there(tmp_path):
    with pytest.raises(DownloadError, match="Kaggle") as caught:
        samples.carvana(tmp_path)
    place = tmp_path / "public" / "carvana"
    assert str(place) in str(caught.value)
    place.mkdir(parents=True)
    assert samples.carvana(tmp_path) == place
