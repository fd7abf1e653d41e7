/* score_report: the verb score: figures of MIDI files, beside those of a corpus' real songs, as one line of JSON on standard output and a table on standard error. */
#ifndef MPIANIST_SAMPLER_SCORE_REPORT_H
#define MPIANIST_SAMPLER_SCORE_REPORT_H

#include "sampler/cli.h"

#define SCORE_REPORT_ERROR score_report_error_quark()
GQuark score_report_error_quark(void);
typedef enum { SCORE_REPORT_ERROR_SPLIT, SCORE_REPORT_ERROR_GRID, SCORE_REPORT_ERROR_WRITE } score_report_error_t;

/* Does what the command line asks for. The line:
 *   {"pieces": n, "skipped": n, "grid": {...}, "corpus": DIR, "split": NAME, "songs": n,
 *    "figures": {NAME: {"mean", "sd", "n", "real": {"mean", "sd", "n"}, "shuffled": {the same}, "place", "nearer"}, ...},
 *    "files": [{"file", "frames", "bars", "meter", "tempo_bpm", "figures": {NAME: value, ...}}, ...]}
 * Figures and place: sampler/score.h; nearer is "real", "shuffled" or null. What was not asked for is left out; what is not defined is null.
 * FALSE with error set: file or option, cause, way out. */
gboolean score_report(const cli_t *cli, GError **error);

#endif
