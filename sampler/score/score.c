/* score: owns the figures of a piece and the shuffling of tracks. Refuses nothing: what cannot be told of a
 * piece is NaN. */
#include "sampler/score/score.h"

#include <math.h>
#include <string.h>

#include "sampler/score/structure.h"
#include "sampler/score/tonal.h"
#include "trainer/model/rng.h"

enum { ENTROPY_BARS = 4 };

typedef struct {
    const roll_t *roll;
    const grid_t *grid;
    const GArray *bars; /* bar_t */
    double n_bars;      /* with the share of the last one that there is */
} piece_t;

static const struct {
    const char *name, *group; /* group: of the first in it */
} figures[SCORE_FIGURES] = {
    [SCORE_PITCH_CLASS_ENTROPY] = {"pitch_class_entropy", "pitch"},
    [SCORE_SCALE_CONSISTENCY] = {"scale_consistency"},
    [SCORE_PITCH_COUNT] = {"pitch_count"},
    [SCORE_PITCHES_A_BAR] = {"pitches_a_bar"},
    [SCORE_PITCH_RANGE] = {"pitch_range"},
    [SCORE_PITCH_INTERVAL] = {"pitch_interval"},
    [SCORE_POLYPHONY] = {"polyphony"},
    [SCORE_POLYPHONIC_RATE] = {"polyphonic_rate"},
    [SCORE_GROOVE] = {"groove", "rhythm"},
    [SCORE_NOTE_COUNT] = {"note_count"},
    [SCORE_INTER_ONSET_INTERVAL] = {"inter_onset_interval"},
    [SCORE_NOTES_A_BAR] = {"notes_a_bar"},
    [SCORE_EMPTY_BARS] = {"empty_bars"},
    [SCORE_STRUCTURE_SHORT] = {"structure_short", "form"},
    [SCORE_STRUCTURE_MID] = {"structure_mid"},
    [SCORE_STRUCTURE_LONG] = {"structure_long"},
    [SCORE_SILENT_TRACKS] = {"silent_tracks", "tracks"},
    [SCORE_TONAL_DISTANCE] = {"tonal_distance"},
    [SCORE_SHARED_ONSETS] = {"shared_onsets"},
};

/* ---- reading a roll ---- */

static gboolean is_pitched(const grid_t *grid, size_t track) { return grid->roles[track] != ROLE_DRUMS; }

static gboolean has_onset(const roll_t *roll, size_t frame, size_t track) {
    return roll_count_bits(roll_plane(roll, frame, track, PLANE_ONSET), roll->stride) > 0;
}

static gboolean any_onset(const roll_t *roll, size_t frame) {
    for (size_t k = 0; k < roll->tracks; k++)
        if (has_onset(roll, frame, k)) return TRUE;
    return FALSE;
}

static const bar_t *bar_at(const piece_t *piece, size_t b) { return &g_array_index(piece->bars, bar_t, b); }

/* The frame at which bar b begins, or the end of the piece. */
static size_t bar_first(const piece_t *piece, size_t b) {
    return b < piece->bars->len ? (size_t)floor(bar_at(piece, b)->frame + 1e-9) : piece->roll->frames;
}

/* Is the bar cut neither by a change of meter (where bars are not whole frames, by more than a frame) nor by
 * the end? */
static gboolean is_whole(const piece_t *piece, size_t b) {
    const bar_t *bar = bar_at(piece, b);
    if (b + 1 < piece->bars->len) return bar_at(piece, b + 1)->frame - bar->frame > bar->frames - 1 + 1e-9;
    return (double)piece->roll->frames - bar->frame >= bar->frames - 1e-9;
}

static gboolean same_meter(const meter_change_t *a, const meter_change_t *b) {
    return a->numerator == b->numerator && a->denominator == b->denominator;
}

/* 1 where the track sounds in frames [first, end), else 0. */
static size_t track_sounds(const roll_t *roll, size_t track, size_t first, size_t end) {
    for (size_t t = first; t < end; t++)
        if (roll_count_bits(roll_plane(roll, t, track, PLANE_SOUNDING), roll->stride) > 0) return 1;
    return 0;
}

/* ---- pitch ---- */

/* Adds the pitch classes of the pitched notes begun in frames [first, end) to chroma; returns how many. */
static size_t add_notes(const piece_t *piece, size_t first, size_t end, double chroma[TONAL_CLASSES]) {
    size_t notes = 0;
    for (size_t t = first; t < end; t++)
        for (size_t k = 0; k < piece->roll->tracks; k++)
            if (is_pitched(piece->grid, k))
                notes += tonal_add_plane(roll_plane(piece->roll, t, k, PLANE_ONSET), piece->grid, chroma);
    return notes;
}

static double pitch_class_entropy(const piece_t *piece) {
    double sum = 0;
    size_t n = 0;
    for (size_t b = 0; b < piece->bars->len; b += ENTROPY_BARS) {
        double chroma[TONAL_CLASSES] = {0};
        const size_t notes =
            add_notes(piece, bar_first(piece, b), bar_first(piece, b + ENTROPY_BARS), chroma);
        if (notes == 0) continue;
        for (int c = 0; c < TONAL_CLASSES; c++) {
            const double share = chroma[c] / (double)notes;
            if (share > 0) sum -= share * log2(share);
        }
        n++;
    }
    return n > 0 ? sum / (double)n : NAN;
}

static double scale_consistency(const piece_t *piece) {
    static const int major[] = {0, 2, 4, 5, 7, 9, 11};
    double chroma[TONAL_CLASSES] = {0}, most = 0;
    const size_t notes = add_notes(piece, 0, piece->roll->frames, chroma);
    for (int tonic = 0; tonic < TONAL_CLASSES; tonic++) {
        double inside = 0;
        for (size_t i = 0; i < G_N_ELEMENTS(major); i++) inside += chroma[(tonic + major[i]) % TONAL_CLASSES];
        most = MAX(most, inside);
    }
    return notes > 0 ? most / (double)notes : NAN;
}

static void measure_keys(const piece_t *piece, double *values) {
    const roll_t *roll = piece->roll;
    size_t keys = 0, sounding = 0, chords = 0;
    for (size_t t = 0; t < roll->frames; t++) {
        uint8_t merged[TONAL_MAX_STRIDE];
        tonal_merge_tracks(roll, piece->grid, G_MAXUINT, t, merged);
        const size_t here = roll_count_bits(merged, roll->stride);
        keys += here;
        sounding += here > 0;
        chords += here > 1;
    }
    int lowest, highest;
    const gboolean any = roll_pitch_range(roll->bits, roll->frames, piece->grid, &lowest, &highest);
    values[SCORE_POLYPHONY] = sounding > 0 ? (double)keys / (double)sounding : NAN;
    values[SCORE_POLYPHONIC_RATE] = sounding > 0 ? (double)chords / (double)sounding : NAN;
    values[SCORE_PITCH_RANGE] = any ? (double)(highest - lowest) : NAN;
}

/* Different keys begun in a bar by pitched tracks. */
static size_t bar_pitches(const piece_t *piece, size_t b) {
    uint8_t keys[TONAL_MAX_STRIDE] = {0};
    for (size_t t = bar_first(piece, b); t < bar_first(piece, b + 1); t++)
        for (size_t k = 0; k < piece->roll->tracks; k++)
            for (size_t i = 0; i < piece->roll->stride && is_pitched(piece->grid, k); i++)
                keys[i] |= roll_plane(piece->roll, t, k, PLANE_ONSET)[i];
    return roll_count_bits(keys, sizeof keys);
}

/* ---- time ---- */

static double groove(const piece_t *piece) {
    const roll_t *roll = piece->roll;
    double sum = 0;
    size_t n = 0;
    for (size_t b = 0; b + 1 < piece->bars->len; b++) {
        if (!same_meter(&bar_at(piece, b)->meter, &bar_at(piece, b + 1)->meter) || !is_whole(piece, b) ||
            !is_whole(piece, b + 1))
            continue;
        const size_t first = bar_first(piece, b), next = bar_first(piece, b + 1),
                     frames = (size_t)floor(bar_at(piece, b)->frames + 1e-9);
        size_t differ = 0, onsets = 0;
        for (size_t t = 0; t < frames; t++) {
            const gboolean here = any_onset(roll, first + t), there = any_onset(roll, next + t);
            differ += here != there;
            onsets += here || there;
        }
        if (onsets == 0) continue;
        sum += 1 - (double)differ / (double)frames;
        n++;
    }
    return n > 0 ? sum / (double)n : NAN;
}

static void measure_bars(const piece_t *piece, double *values) {
    const roll_t *roll = piece->roll;
    size_t empty = 0, silent = 0, notes = 0, pitches = 0;
    for (size_t b = 0; b < piece->bars->len; b++) {
        size_t tracks = 0;
        pitches += bar_pitches(piece, b);
        for (size_t k = 0; k < roll->tracks; k++)
            tracks += track_sounds(roll, k, bar_first(piece, b), bar_first(piece, b + 1));
        empty += tracks == 0;
        silent += roll->tracks - tracks;
    }
    for (size_t t = 0; t < roll->frames; t++)
        for (size_t k = 0; k < roll->tracks; k++)
            notes += roll_count_bits(roll_plane(roll, t, k, PLANE_ONSET), roll->stride);
    values[SCORE_PITCHES_A_BAR] = (double)pitches / (double)piece->bars->len;
    values[SCORE_EMPTY_BARS] = (double)empty / (double)piece->bars->len;
    values[SCORE_SILENT_TRACKS] =
        roll->tracks > 1 ? (double)silent / (double)(piece->bars->len * roll->tracks) : NAN;
    values[SCORE_NOTES_A_BAR] = (double)notes / piece->n_bars;
}

/* ---- pairs of tracks ---- */

static double pair_distance(const piece_t *piece, size_t a, size_t b) {
    const roll_t *roll = piece->roll;
    const size_t beat = (size_t)piece->grid->steps_per_beat;
    double sum = 0;
    size_t n = 0;
    for (size_t first = 0; first < roll->frames; first += beat) {
        double chroma[2][TONAL_CLASSES] = {{0}}, centroid[2][TONAL_DIMENSIONS];
        for (size_t t = first; t < MIN(first + beat, roll->frames); t++) {
            tonal_add_plane(roll_plane(roll, t, a, PLANE_SOUNDING), piece->grid, chroma[0]);
            tonal_add_plane(roll_plane(roll, t, b, PLANE_SOUNDING), piece->grid, chroma[1]);
        }
        if (!tonal_centroid(chroma[0], centroid[0]) || !tonal_centroid(chroma[1], centroid[1])) continue;
        sum += tonal_distance(centroid[0], centroid[1]);
        n++;
    }
    return n > 0 ? sum / (double)n : NAN;
}

static double pair_onsets(const piece_t *piece, size_t a, size_t b) {
    size_t both = 0, either = 0, of_a = 0, of_b = 0;
    for (size_t t = 0; t < piece->roll->frames; t++) {
        const gboolean in_a = has_onset(piece->roll, t, a), in_b = has_onset(piece->roll, t, b);
        of_a += (size_t)in_a;
        of_b += (size_t)in_b;
        both += in_a && in_b;
        either += in_a || in_b;
    }
    return of_a > 0 && of_b > 0 ? (double)both / (double)either : NAN;
}

typedef double (*measure_pair_t)(const piece_t *piece, size_t a, size_t b);

/* A figure of pairs: which it is, whether drums take part. */
static const struct {
    score_figure_t figure;
    gboolean drums;
    measure_pair_t measure;
} pairs[] = {{SCORE_TONAL_DISTANCE, FALSE, pair_distance}, {SCORE_SHARED_ONSETS, TRUE, pair_onsets}};

enum { MOST_PAIRS = G_N_ELEMENTS(pairs) * ROLL_MAX_TRACKS * (ROLL_MAX_TRACKS - 1) / 2 };

typedef struct {
    size_t p, a, b; /* pairs[p] of tracks a and b */
} pair_t;

/* Lists all pairs of a grid in the order of their figures; returns how many there are. */
static size_t list_pairs(const grid_t *grid, pair_t list[MOST_PAIRS]) {
    const size_t tracks = (size_t)grid->n_tracks;
    size_t n = 0;
    for (size_t p = 0; p < G_N_ELEMENTS(pairs); p++)
        for (size_t a = 0; a < tracks; a++)
            for (size_t b = a + 1; b < tracks; b++)
                if (pairs[p].drums || (is_pitched(grid, a) && is_pitched(grid, b)))
                    list[n++] = (pair_t){p, a, b};
    return n;
}

/* Sets the figure of each pair, where there are three tracks or more, and the means over all pairs. */
static void measure_pairs(const piece_t *piece, double *values) {
    pair_t list[MOST_PAIRS];
    double sums[G_N_ELEMENTS(pairs)] = {0};
    size_t counts[G_N_ELEMENTS(pairs)] = {0};
    const size_t n = list_pairs(piece->grid, list);
    for (size_t i = 0; i < n; i++) {
        const size_t p = list[i].p;
        const double value = pairs[p].measure(piece, list[i].a, list[i].b);
        if (piece->grid->n_tracks > 2) values[SCORE_FIGURES + i] = value;
        if (isnan(value)) continue;
        sums[p] += value;
        counts[p]++;
    }
    for (size_t p = 0; p < G_N_ELEMENTS(pairs); p++)
        values[pairs[p].figure] = counts[p] > 0 ? sums[p] / (double)counts[p] : NAN;
}

/* ---- all ---- */

size_t score_count(const grid_t *grid) {
    pair_t list[MOST_PAIRS];
    return SCORE_FIGURES + (grid->n_tracks > 2 ? list_pairs(grid, list) : 0);
}

char *score_name(const grid_t *grid, size_t i) {
    pair_t list[MOST_PAIRS];
    if (i < SCORE_FIGURES) return g_strdup(figures[i].name);
    if (i >= score_count(grid)) return NULL;
    list_pairs(grid, list);
    const pair_t *pair = &list[i - SCORE_FIGURES];
    return g_strdup_printf("%s_%s_%s", figures[pairs[pair->p].figure].name, role_name(grid->roles[pair->a]),
                           role_name(grid->roles[pair->b]));
}

const char *score_group(size_t i) {
    for (i = MIN(i, SCORE_FIGURES - 1); !figures[i].group;) i--; /* pairs: of tracks */
    return figures[i].group;
}

size_t score_numbers(const grid_t *grid) { return score_count(grid) + NOTES_NUMBERS; }

static void measure_notes(const piece_t *piece, const timeline_t *timeline, double *values) {
    notes_t notes;
    notes_measure(piece->roll, piece->grid, timeline, &notes);
    values[SCORE_PITCH_COUNT] = notes.pitches;
    values[SCORE_PITCH_INTERVAL] = notes.interval;
    values[SCORE_NOTE_COUNT] = notes.notes;
    values[SCORE_INTER_ONSET_INTERVAL] = notes.inter_onset_interval;
    memcpy(values + score_count(piece->grid), notes.histograms, sizeof notes.histograms);
}

void score_measure(const roll_t *roll, const grid_t *grid, const timeline_t *timeline, double *values) {
    g_autoptr(GArray) bars = timeline_bars(timeline, (int64_t)roll->frames);
    const piece_t piece = {roll, grid, bars, timeline_bar_at(timeline, (double)roll->frames)};
    values[SCORE_PITCH_CLASS_ENTROPY] = pitch_class_entropy(&piece);
    values[SCORE_SCALE_CONSISTENCY] = scale_consistency(&piece);
    values[SCORE_GROOVE] = groove(&piece);
    structure_measure(roll, grid, &values[SCORE_STRUCTURE_SHORT]);
    measure_notes(&piece, timeline, values);
    measure_keys(&piece, values);
    measure_bars(&piece, values);
    measure_pairs(&piece, values);
}

/* ---- shuffled tracks ---- */

size_t score_shuffle_source(size_t n, size_t i, size_t track, uint64_t seed) {
    const rng_t rng = rng_make(seed, RNG_SHUFFLE, 0, 0);
    const size_t step = track == 0 ? 0 : 1 + (track - 1) % (n - 1);
    return (size_t)rng_permute(&rng, (i + step) % n, n);
}

roll_t *score_shuffle(roll_t *const *rolls, size_t n, size_t i, uint64_t seed) {
    const size_t tracks = rolls[0]->tracks;
    const roll_t *from[ROLL_MAX_TRACKS];
    size_t frames = SIZE_MAX;
    for (size_t k = 0; k < tracks; k++) {
        from[k] = rolls[score_shuffle_source(n, i, k, seed)];
        frames = MIN(frames, from[k]->frames);
    }
    roll_t *roll = roll_new(frames, tracks, rolls[0]->pitches);
    for (size_t t = 0; t < frames; t++)
        for (size_t k = 0; k < tracks; k++)
            memcpy(roll_plane(roll, t, k, 0), roll_plane(from[k], t, k, 0), ROLL_PLANES * roll->stride);
    return roll;
}

score_summary_t score_summarise(const double *values, size_t n, size_t stride) {
    score_summary_t summary = {NAN, NAN, 0};
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n * stride; i += stride) {
        if (isnan(values[i])) continue;
        sum += values[i];
        summary.n++;
    }
    if (summary.n == 0) return summary;
    summary.mean = sum / (double)summary.n;
    for (size_t i = 0; i < n * stride; i += stride)
        if (!isnan(values[i])) squares += (values[i] - summary.mean) * (values[i] - summary.mean);
    if (summary.n > 1) summary.sd = sqrt(squares / (double)(summary.n - 1));
    return summary;
}

double score_place(score_summary_t pieces, score_summary_t real, score_summary_t shuffled) {
    const double way = shuffled.mean - real.mean;
    const double error =
        sqrt(real.sd * real.sd / (double)real.n + shuffled.sd * shuffled.sd / (double)shuffled.n);
    return fabs(way) > 2 * error ? (pieces.mean - real.mean) / way : NAN; /* NaN anywhere compares false */
}
