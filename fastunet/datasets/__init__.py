"""Data to try things on: drawn by fastunet, or fetched from public data sets."""

from fastunet.datasets import samples as samples
