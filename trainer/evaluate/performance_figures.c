/* performance_figures: owns what is measured of played pieces, and the names of these figures. */
#include "trainer/evaluate/performance_figures.h"

#include <math.h>
#include <string.h>

/* The track of each onset, in their order, to tracks [n]. */
static void list_tracks(const model_config_t *config, const uint8_t *bits, size_t T, uint8_t *tracks) {
    const size_t stride = roll_stride(config->pitches), bytes = model_frame_bytes(config);
    for (size_t t = 0; t < T; t++)
        for (size_t track = 0; track < config->tracks; track++) {
            const uint8_t *onsets = bits + t * bytes + (track * config->planes + PLANE_ONSET) * stride;
            for (size_t n = roll_count_bits(onsets, stride); n > 0; n--) *tracks++ = (uint8_t)track;
        }
}

/* Adds the errors of each track's means. */
static void measure_means(const uint8_t *tracks, const played_t *played, size_t n,
                          performance_figures_t *figures) {
    double count[MODEL_MAX_TRACKS] = {0}, velocity[MODEL_MAX_TRACKS] = {0}, offset[MODEL_MAX_TRACKS] = {0};
    for (size_t i = 0; i < n; i++) {
        count[tracks[i]]++;
        velocity[tracks[i]] += played[i].velocity;
        offset[tracks[i]] += played[i].offset;
    }
    for (size_t i = 0; i < n; i++) {
        const size_t track = tracks[i];
        figures->velocity_error_of_mean += fabs(played[i].velocity - velocity[track] / count[track]);
        figures->offset_error_of_mean += fabs(played[i].offset - offset[track] / count[track]) / PLAYED_UNITS;
    }
}

/* Adds a piece to the counts. */
static void count(const played_t *played, size_t n, double *velocities, double *offsets) {
    double lag[2] = {0};
    for (size_t i = 0; i < n; i++) {
        lag[0] += cos(2 * G_PI * played[i].offset / PLAYED_UNITS);
        lag[1] += sin(2 * G_PI * played[i].offset / PLAYED_UNITS);
    }
    const int mean = (int)lround(atan2(lag[1], lag[0]) * PLAYED_UNITS / (2 * G_PI));
    for (size_t i = 0; i < n; i++) {
        const int from_mean = performance_past_turn(played[i].offset, mean) + PLAYED_UNITS / 2;
        velocities[played[i].velocity * PERFORMANCE_BINS / 128]++;
        offsets[from_mean * PERFORMANCE_BINS / PLAYED_UNITS]++;
    }
}

void performance_measure(performer_t *performer, const model_config_t *config, const uint8_t *bits, size_t T,
                         meters_t meters, const played_t *played, size_t n, uint64_t seed, uint64_t index,
                         performance_figures_t *figures) {
    g_autofree played_t *medians = g_new(played_t, n + 1), *drawn = g_new(played_t, n + 1);
    g_autofree uint8_t *tracks = g_malloc(n + 1);
    performance_piece_t told = {.meters = meters, .given = played, .medians = medians},
                        freely = {.meters = meters, .drawn = drawn, .on_grid = TRUE};
    memset(figures, 0, sizeof *figures);
    performer_play(performer, bits, T, seed, index, &told);
    performer_play(performer, bits, T, seed, index, &freely);
    list_tracks(config, bits, T, tracks);
    measure_means(tracks, played, n, figures);
    figures->onsets = (double)n;
    figures->nll = told.nll;
    for (size_t i = 0; i < n; i++) {
        figures->velocity_error += abs(played[i].velocity - medians[i].velocity);
        figures->offset_error += (double)abs(played[i].offset - medians[i].offset) / PLAYED_UNITS;
    }
    count(played, n, figures->velocities, figures->offsets);
    count(drawn, n, figures->drawn_velocities, figures->drawn_offsets);
}

double performance_overlap(const double *a, const double *b, size_t n) {
    double of_a = 0, of_b = 0, shared = 0;
    for (size_t i = 0; i < n; i++) {
        of_a += a[i];
        of_b += b[i];
    }
    for (size_t i = 0; i < n && of_a > 0 && of_b > 0; i++) shared += fmin(a[i] / of_a, b[i] / of_b);
    return shared;
}

void performance_tell(const performance_figures_t *sum, json_t *members, GString *text) {
    const double n = sum->onsets;
    if (n <= 0) return;
    const double velocity = performance_overlap(sum->velocities, sum->drawn_velocities, PERFORMANCE_BINS),
                 offset = performance_overlap(sum->offsets, sum->drawn_offsets, PERFORMANCE_BINS);
    json_count(members, "onsets", (size_t)n);
    json_number(members, "performance_nll_per_onset", sum->nll / n);
    json_number(members, "velocity_error", sum->velocity_error / n);
    json_number(members, "velocity_error_of_means", sum->velocity_error_of_mean / n);
    json_number(members, "velocity_overlap", velocity);
    json_number(members, "offset_error", sum->offset_error / n);
    json_number(members, "offset_error_of_means", sum->offset_error_of_mean / n);
    json_number(members, "offset_overlap", offset);
    g_string_append_printf(text, "%-28s %12s %12s %12s\n", "how it was played, mean error", "model",
                           "track's mean", "overlap");
    g_string_append_printf(text, "%-28s %12.4f %12.4f %12.4f\n", "velocity", sum->velocity_error / n,
                           sum->velocity_error_of_mean / n, velocity);
    g_string_append_printf(text, "%-28s %12.4f %12.4f %12.4f\n", "offset, frames", sum->offset_error / n,
                           sum->offset_error_of_mean / n, offset);
}
