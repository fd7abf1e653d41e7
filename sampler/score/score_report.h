/* score_report: the verb score: figures of MIDI files, beside those of a corpus' real songs, as one line of
 * JSON on standard output and a table on standard error. */
#pragma once

#include "sampler/score/score_result.h"

/* What is scored and beside what; nothing owned. */
typedef struct {
    char *const *files;               /* MIDI files and folders of them, NULL-terminated */
    const char *corpus, *originality; /* folders of shards; NULL: not given */
    const char *split;                /* a split_name() of theirs; NULL: "test" */
    meter_t meter;                    /* takes the place of the pieces' meters; numerator 0: not given */
    /* Without shards: as grid_set_tracks() reads them, NULL: all roles; <= 0: as grid_default() has it. */
    const char *tracks;
    int steps_per_beat;
    size_t seam_frames; /* from border to border; 0: not asked for */
    uint64_t seed;      /* of the shuffled tracks */
    gboolean quiet;     /* no table */
} score_request_t;

/* Scores. The line:
 *   {"pieces": n, "skipped": n, "grid": {...}, "corpus": DIR, "split": NAME, "songs": n,
 *    "figures": {NAME: {"mean", "sd", "n", "real": {"mean", "sd", "n"}, "shuffled": {the same},
 *                       "place", "nearer", "values": {"overlap", "kl"}, "distances": {the same}}, ...},
 *    "histograms": {NAME: {"distances": {the same}}, ...},
 *    "seam": {"frames", "mean", "sd", "n", "real": {"mean", "sd", "n"}, "border", "inside",
 *             "features": {NAME: {"border", "inside"}, ...}},
 *    "originality": {"corpus": DIR, "songs": n, "split": NAME, "held_out": n,
 *                    "passages": {"all" or TRACK: {"events": {"mean", "median", "most"}, "beats": {...},
 *                                                  "share": {...}, "real": {the same}}, ...}},
 *    "files": [{"file", "frames", "bars", "meter", "tempo_bpm", "figures": {NAME: value, ...}, "seam",
 *               "passages": {"all" or TRACK: {"events", "notes", "frames", "beats", "share", "first",
 *                                             "song", "song_first", "semitones"}, ...}}, ...]}
 * Figures and place: score.h; "nearer" is "real", "shuffled" or null. "values", "distances": distribution.h.
 * Histograms: notes.h.
 * Seam: seam.h; "border" and "inside" are means over pieces, those of features with their signs. Passages:
 * originality.h; "share" is of the piece's events. What was not asked for is left out; what is not defined is
 * null. What was found out is in result, which the caller clears, whatever is returned. FALSE with error set:
 * file or option, cause, way out. */
gboolean score_report(const score_request_t *request, score_result_t *result, GError **error);
