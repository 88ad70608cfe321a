"""`fastunet.samples`: data sets to try things on, drawn or fetched: `samples.nuclei()`."""

from fastunet.datasets.download import camvid, camvid_tiny, carvana, oxford_pets, voc2012
from fastunet.datasets.synthetic import PARCEL_CLASSES, PARCEL_VOID, nuclei, parcels

__all__ = [
    "PARCEL_CLASSES",
    "PARCEL_VOID",
    "camvid",
    "camvid_tiny",
    "carvana",
    "nuclei",
    "oxford_pets",
    "parcels",
    "voc2012",
]
