#!/usr/bin/env python3
"""The onsets that preprocess reads from real MIDI files, against symusic's: none may be missing.

    python3 tests/bench/real_files.py build/release/tests/bench/print_notes [--scores 3] [--corpus FOLDER...]

Run by `make bench-files`. The files are those that a Debian machine can install: openttd-openmsx,
planetblupi, mma, freedoom (the MIDI lumps of its WADs) and abcmidi (its samples, made MIDI by its abc2midi);
the packages are downloaded and unpacked into a scratch folder, not installed. From PyPI: the MIDI files of
music21's corpus, and so many of its scores of each collection (small ones) as music21 itself writes as MIDI.
symusic and music21: pip install symusic music21 (PYTHON=python that has them).

An onset is a (tick, pitch, drums or not) of a file. Printed for each source: files, symusic's onsets, those
missing from ours, those that only we have; then each file with either. Exit status 1 where one is missing.
"""

import os
import pathlib
import struct
import subprocess
import sys
import tempfile

import symusic

import benches

LARGEST = 20000  # bytes of a score: music21 takes minutes over larger ones
PACKAGES = ["openttd-openmsx", "planetblupi-music-midi", "mma", "freedoom", "abcmidi"]


def unpack_packages(folder):
    """Downloads Debian packages and unpacks them: package -> its files. One that cannot be had is told and
    left out."""
    roots = {}
    for package in PACKAGES:
        root = folder / package
        root.mkdir()
        if (
            subprocess.run(["apt-get", "-q", "download", package], cwd=root, capture_output=True).returncode
            != 0
        ):
            print(f"{package}: apt-get cannot download it; left out", file=sys.stderr)
            continue
        subprocess.run(["dpkg", "-x", str(next(root.glob("*.deb"))), str(root)], check=True)
        roots[package] = root
    return roots


def lumps_of(wad, folder):
    """The MIDI lumps of a WAD, as files: its directory of (place, size, name) stands where the header
    says."""
    data = wad.read_bytes()
    count, place = struct.unpack_from("<II", data, 4)
    for i in range(count):
        at, size, name = struct.unpack_from("<II8s", data, place + 16 * i)
        if data[at : at + 4] == b"MThd":
            path = folder / f"{wad.stem}-{name.rstrip(bytes(1)).decode('latin-1')}.mid"
            path.write_bytes(data[at : at + size])
            yield path


def tunes_of(root):
    """abcmidi's samples, by its own program, which writes them beside."""
    for abc in sorted(root.rglob("*.abc")):
        subprocess.run([str(next(root.rglob("bin/abc2midi"))), abc.name], cwd=abc.parent, capture_output=True)
    return sorted(root.rglob("*.mid"))


def scores_of(folder, most):
    """music21's MIDI files, and scores that it writes itself: (source, files)."""
    try:
        import music21
    except ImportError:
        print("music21 is not installed; left out", file=sys.stderr)
        return
    package = pathlib.Path(music21.__file__).parent
    corpus = package / "corpus"
    yield "music21, MIDI", sorted(package.rglob("*.mid"))
    written = []
    for collection in sorted(p for p in corpus.iterdir() if p.is_dir()):
        scores = sorted(
            p
            for p in collection.rglob("*")
            if p.suffix in (".mxl", ".xml", ".musicxml", ".krn", ".abc") and p.stat().st_size < LARGEST
        )
        for score in scores[:: max(1, len(scores) // most)][:most]:
            path = folder / f"{collection.name}-{score.stem}.mid"
            try:
                music21.converter.parse(score).write("midi", path)
                written.append(path)
            except Exception:  # some scores music21 cannot write: not ours to judge
                continue
    yield "music21, written", written


def our_onsets(program, files):
    """File -> set of onsets; None where we refuse it."""
    names = "".join(f"{path}\n" for path in files)
    out = subprocess.run([program], input=names, capture_output=True, text=True, check=True).stdout
    onsets, here = {}, None
    for line in out.splitlines():
        if line.startswith("file "):
            here = onsets.setdefault(line[5:], set())
        else:
            onset, pitch, _, channel, _ = map(int, line.split())
            here.add((onset, pitch, channel == 9))
    return onsets


def their_onsets(path):
    """None where symusic refuses the file."""
    try:
        score = symusic.Score(str(path), ttype="tick")
    except Exception:
        return None
    return {(note.time, note.pitch, track.is_drum) for track in score.tracks for note in track.notes}


def compare(program, source, files, unlike):
    """Prints a source's row; appends the files that differ to unlike. Returns how many onsets are missing."""
    ours, total, missing, extra, refused = our_onsets(program, files), 0, 0, 0, 0
    for path in files:
        theirs = their_onsets(path)
        if theirs is None:
            refused += 1
            continue
        mine = ours[str(path)]
        total += len(theirs)
        missing += len(theirs - mine)
        extra += len(mine - theirs)
        if theirs != mine:
            unlike.append((source, path.name, sorted(theirs - mine)[:3], sorted(mine - theirs)[:3]))
    print(f"{source:24} {len(files):6} {refused:8} {total:9} {missing:8} {extra:6}", flush=True)
    return missing


def gather(folder, most):
    """(source, files) of everything."""
    for package, root in unpack_packages(folder).items():
        made = folder / f"{package}-files"
        made.mkdir()
        files = sorted(p for p in root.rglob("*") if p.suffix.lower() in (".mid", ".midi"))
        if package == "freedoom":
            files = [path for wad in sorted(root.rglob("*.wad")) for path in lumps_of(wad, made)]
        if package == "abcmidi":
            files = tunes_of(root)
        yield package, files
    made = folder / "music21"
    made.mkdir()
    yield from scores_of(made, most)


def main():
    parser = benches.parser(__doc__)
    parser.add_argument("program")
    parser.add_argument(
        "--scores", type=int, default=3, help="scores of each of music21's collections (default: 3)"
    )
    parser.add_argument("--corpus", nargs="*", default=[], help="folders of more MIDI files")
    arguments = parser.parse_args()
    missing, unlike = 0, []
    with tempfile.TemporaryDirectory() as scratch:
        print(
            f"{'source':24} {'files':>6} {'refused':>8} {'onsets':>9} {'missing':>8} {'extra':>6}   "
            "(refused: by symusic)"
        )
        for source, files in gather(pathlib.Path(scratch), arguments.scores):
            missing += compare(os.path.abspath(arguments.program), source, files, unlike)
        for corpus in arguments.corpus:
            files = sorted(
                p for p in pathlib.Path(corpus).rglob("*") if p.suffix.lower() in (".mid", ".midi")
            )
            missing += compare(os.path.abspath(arguments.program), corpus[-24:], files, unlike)
    for source, name, lacking, more in unlike:
        print(f"{source}, {name}: missing {lacking}, extra {more} (tick, pitch, drums; the first three)")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
