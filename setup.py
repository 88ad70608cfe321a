"""Package metadata, read from settings.ini."""

from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
config = ConfigParser(delimiters=["="])
config.read(here / "settings.ini", encoding="utf-8")
settings = config["DEFAULT"]


def lines(option):
    return [line.strip() for line in settings[option].splitlines() if line.strip()]


setup(
    name=settings["name"],
    version=settings["version"],
    description=settings["description"],
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    keywords=settings["keywords"],
    author=settings["author"],
    license=settings["license"],
    python_requires=f">={settings['min_python']}",
    packages=find_packages(include=["fastunet", "fastunet.*"]),
    package_data={"fastunet": ["py.typed"], "": ["*.pyi", "*.jinja"]},
    install_requires=lines("requirements"),
    extras_require={
        option.removeprefix("extra_"): lines(option)
        for option in settings
        if option.startswith("extra_")
    },
    entry_points={"console_scripts": lines("console_scripts")},
)
