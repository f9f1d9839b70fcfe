#!/usr/bin/env python3
"""Makes a captioning set of emoji: pictures of 64 by 64 pixels and their names in six languages.

    cargo run --release -p datasets -- get emoji --data-root data
    python3 scripts/emoji_tsv.py data/emoji data/emoji-captions

reads the three packages as `datasets get emoji` leaves them in the first folder, and writes to the
second, which must not be there:

    images/google_1f600.png, images/twitter_1f600.png, ...   as they are in the packages, with transparency
    train.tsv, val.tsv                                       image, en, de, fr, es, zh, ja

The first column names a file in images/. The names are those of the CLDR, as emojibase has them; zh is
Simplified Chinese. An emoji that lacks a picture or one of its six names is left out. A hash of its
code points decides which part an emoji is in, so that everybody has the same parts: one in nine
validates, in the pictures of Google and of Twitter alike. The skin tones of an emoji are emoji of
their own: one may be in another part than the next.

Only Python's standard library is needed, 3.10 or later.
"""

import argparse
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

LANGUAGES = ["en", "de", "fr", "es", "zh", "ja"]
PICTURES = {
    "google": "emoji-datasource-google-16.0.0.tgz",
    "twitter": "emoji-datasource-twitter-16.0.0.tgz",
}
NAMES = "emojibase-data-17.0.0.tgz"
# One emoji in so many validates.
VALIDATION = 9


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path, help="the folder with the three packages")
    parser.add_argument("out", type=Path, help="the folder to write, which must not be there")
    arguments = parser.parse_args()
    for file in [*PICTURES.values(), NAMES]:
        if not (arguments.packages / file).is_file():
            sys.exit(f"there is no {arguments.packages / file}; `datasets get emoji` downloads it")
    if arguments.out.exists():
        sys.exit(f"{arguments.out} is there already; delete it, or name another folder")

    names = read_names(arguments.packages / NAMES)
    pictures = {style: read_pictures(arguments.packages / file, style) for style, file in PICTURES.items()}
    emoji = sorted(points for points in names if all(points in found for found in pictures.values()))
    (arguments.out / "images").mkdir(parents=True)
    parts = {"train": [], "val": []}
    for style, found in pictures.items():
        for points in emoji:
            image = f"{style}_{points}.png"
            (arguments.out / "images" / image).write_bytes(found[points])
            parts[part_of(points)].append([image, *names[points]])
    for part, rows in parts.items():
        write_table(arguments.out / f"{part}.tsv", rows)
        print(f"{arguments.out / part}.tsv: {len(rows)} pictures")


def code_points(text):
    """The code points of an emoji, as a name: without the sign that asks for a coloured picture."""
    return "-".join(point for point in text.lower().split("-") if point != "fe0f")


def part_of(points):
    digest = hashlib.sha256(points.encode("ascii")).digest()
    return "val" if int.from_bytes(digest[:4], "big") % VALIDATION == 0 else "train"


def read_names(path):
    """The names of each emoji that has one in every language, in the order of LANGUAGES."""
    with tarfile.open(path) as package:
        tables = [read_json(package, f"package/{language}/data.json") for language in LANGUAGES]
    by_language = [dict(named(table)) for table in tables]
    everywhere = set.intersection(*(set(names) for names in by_language))
    return {points: [names[points] for names in by_language] for points in everywhere}


def named(table):
    """Code points and names, of the skin tones too."""
    for entry in table:
        for emoji in [entry, *entry.get("skins", [])]:
            if emoji.get("label"):
                yield code_points(emoji["hexcode"]), emoji["label"]


def read_pictures(path, style):
    """The PNG files of 64 by 64 pixels by code points."""
    folder = f"package/img/{style}/64/"
    pictures = {}
    with tarfile.open(path) as package:
        for member in package:
            if member.isfile() and member.name.startswith(folder) and member.name.endswith(".png"):
                name = member.name[len(folder) : -len(".png")]
                pictures[code_points(name)] = package.extractfile(member).read()
    if not pictures:
        sys.exit(f"there is nothing in {folder} of {path}; is it the package of that version?")
    return pictures


def read_json(package, name):
    try:
        return json.load(io.TextIOWrapper(package.extractfile(name), encoding="utf-8"))
    except KeyError:
        sys.exit(f"there is no {name} in {package.name}; is it the package of that version?")


def write_table(path, rows):
    lines = ["\t".join(row) + "\n" for row in [["image", *LANGUAGES], *rows]]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
