"""Do the tracks of generated pieces fit each other?

    python3 tests/bench/tracks.py CHECKPOINT SHARDS [--split test] [--pieces 50] [--bars 32] [--temperature 1]
    [--seed 1] [--shuffles 8] [--made FOLDER]

Draws new pieces from a sequence model's checkpoint and prints tonal distance and shared onsets between their
tracks (sampler/score/score.h) beside those of the shards' held-out songs, and of both with their tracks
shuffled: each track from another piece. `sampler score` says what the pieces are nearer to, the songs or the
songs shuffled. That alone would praise noise, which has all pitches in all tracks; so "fit" says how much of
the songs' own gap between whole and shuffled the pieces have, too: 0 where their tracks do not heed each
other, 1 where they do as in real songs. Which tracks a shuffle brings together is chance, so what is
shuffled is the mean of several shuffles. Other figures follow, to see what the pieces are like otherwise.
Exit status 1 where either figure, as a mean over all pairs of tracks, is not nearer to real songs or has a
fit below one half.
"""

import json
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile

import benches

BUILD = pathlib.Path(__file__).resolve().parents[2] / "build"
VERDICT = ("tonal_distance", "shared_onsets")
OTHERS = ["pitch_class_entropy", "scale_consistency", "groove", "polyphony", "silent_tracks", "notes_a_bar"]


def run(program, *arguments):
    return subprocess.run(
        [BUILD / program, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def draw(asked, folder):
    """New pieces."""
    options = ["--bars", asked.bars, "--temperature", asked.temperature, "--seed", asked.seed]
    checkpoint = ["--checkpoint", asked.checkpoint]
    run("sampler", "song", *checkpoint, "-n", asked.pieces, *options, "--quiet", "--output", folder)
    return folder


def mean_summary(summaries):
    """The mean of several summaries, of those that know a mean and a deviation."""
    known = [summary for summary in summaries if summary["sd"] is not None]
    if not known:
        return summaries[0]
    return {number: statistics.fmean(summary[number] for summary in known) for number in ("mean", "sd", "n")}


def nearer(pieces, real, shuffled):
    """As score_place() of sampler/score/score.h has it."""
    if None in (pieces["mean"], real["sd"], shuffled["sd"]):
        return None
    way = shuffled["mean"] - real["mean"]
    if abs(way) < 2 * math.hypot(real["sd"] / real["n"] ** 0.5, shuffled["sd"] / shuffled["n"] ** 0.5):
        return None
    return "real" if (pieces["mean"] - real["mean"]) / way < 0.5 else "shuffled"


def score(pieces, shards, split, shuffles):
    """What the sampler's score says, "shuffled" being means of so many shuffles."""

    def of_seed(seed):
        options = ["--corpus", shards, "--split", split, "--seed", seed, "--quiet"]
        return json.loads(run("sampler", "score", pieces, *options))

    scored = [of_seed(seed) for seed in range(1, shuffles + 1)]
    for name, figure in scored[0]["figures"].items():
        figure["shuffled"] = mean_summary([one["figures"][name]["shuffled"] for one in scored])
        figure["nearer"] = nearer(figure, figure["real"], figure["shuffled"])
    return scored[0]


def own_shards(pieces, shards, folder):
    """The pieces as a corpus on the grid of these shards."""
    options = next(
        line for line in run("preprocess", "--info", shards).splitlines() if line.startswith("options")
    ).split()[1:]
    at = options.index("--split") if "--split" in options else options.index("--split-by-folder")
    del options[at : at + 1 + (options[at] == "--split")]
    run("preprocess", *options, "--split", "100,0,0", "--quiet", "--output", folder, pieces)
    return folder


def fit(figure, own):
    return (own["shuffled"]["mean"] - figure["mean"]) / (figure["shuffled"]["mean"] - figure["real"]["mean"])


def show(name, figure, own):
    def cell(summary):
        return "-" if summary["sd"] is None else "%.3f (%.3f)" % (summary["mean"], summary["sd"])

    cells = [cell(figure), cell(own["shuffled"]), cell(figure["real"]), cell(figure["shuffled"])]
    told = (
        ["%-11s%5.2f" % (figure["nearer"], fit(figure, own))]
        if figure["nearer"] and name.startswith(VERDICT)
        else [figure["nearer"] or "-"]
    )
    print("%-30s" % name.replace("_", " ") + "".join("%-16s" % c for c in cells + told).rstrip())


def main():
    parser = benches.parser(__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("shards")
    parser.add_argument("--split", default="test")
    parser.add_argument("--pieces", type=int, default=50)
    parser.add_argument("--bars", type=int, default=32)
    parser.add_argument("--temperature", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shuffles", type=int, default=8)
    parser.add_argument("--made", help="a folder of pieces, such as accompaniments, in place of new ones")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        pieces = asked.made or draw(asked, f"{work}/pieces")
        scored = score(pieces, asked.shards, asked.split, asked.shuffles)
        own_corpus = own_shards(pieces, asked.shards, f"{work}/own")
        own = score(pieces, own_corpus, "train", asked.shuffles)["figures"]
    figures = scored["figures"]
    print(
        f"{scored['pieces']} pieces by {asked.checkpoint}, "
        f"beside {scored['songs']} songs of {asked.shards} ({asked.split})\n"
    )
    print(
        "%-30s" % "mean (standard deviation)"
        + "%-16s%-16s%-16s%-16s%-11s%5s"
        % ("pieces", "shuffled", "real songs", "shuffled", "nearer to", "fit")
    )
    for name in [name for name in figures if name.startswith(VERDICT)] + OTHERS:
        show(name, figures[name], own[name])
    sys.exit(
        any(figures[name]["nearer"] != "real" or fit(figures[name], own[name]) < 0.5 for name in VERDICT)
    )


if __name__ == "__main__":
    main()
