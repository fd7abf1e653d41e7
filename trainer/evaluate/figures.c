/* figures: owns the arithmetic of active units, of notes found and of rebuilt pieces. Refuses nothing. */
#include "trainer/evaluate/figures.h"

#include <math.h>

void active_units_add(double *moments, const real_t *mu, size_t n, size_t Z) {
    for (size_t i = 0; i < n * Z; i++) {
        const double value = (double)mu[i];
        moments[i % Z] += value;
        moments[Z + i % Z] += value * value;
    }
}

int active_units(const double *moments, double n, size_t Z) {
    int active = 0;
    for (size_t j = 0; j < Z; j++) {
        const double mean = moments[j] / n;
        active += moments[Z + j] / n - mean * mean > ACTIVE_UNITS_VARIANCE;
    }
    return active;
}

void cells_add(cells_t *cells, const uint8_t *truth, const uint8_t *found, size_t pitches) {
    const size_t stride = roll_stride(pitches);
    const unsigned last = 0xFFU >> (8 * stride - pitches);
    for (size_t i = 0; i < stride; i++) {
        const unsigned mask = i + 1 < stride ? 0xFFU : last, a = truth[i] & mask, b = found[i] & mask;
        cells->hits += __builtin_popcount(a & b);
        cells->false_alarms += __builtin_popcount(b & ~a);
        cells->misses += __builtin_popcount(a & ~b);
    }
}

double cells_precision(const cells_t *cells) {
    return cells->hits / MAX(1, cells->hits + cells->false_alarms);
}

double cells_recall(const cells_t *cells) { return cells->hits / MAX(1, cells->hits + cells->misses); }

double cells_f1(const cells_t *cells) {
    return 2 * cells->hits / MAX(1, 2 * cells->hits + cells->false_alarms + cells->misses);
}

void cells_tell(const cells_t *cells, const char *prefix, gboolean known, json_t *members) {
    const struct {
        const char *name;
        double value;
    } notes[] = {
        {"precision", cells_precision(cells)}, {"recall", cells_recall(cells)}, {"f1", cells_f1(cells)}};
    for (size_t i = 0; i < G_N_ELEMENTS(notes); i++) {
        g_autofree char *name = g_strconcat(prefix, notes[i].name, NULL);
        json_number(members, name, known ? notes[i].value : NAN);
    }
}

enum { MAX_STRIDE = 16 }; /* of 128 pitches */

/* Onsets of a track's plane, where the model knows no others: keys that sound and did not before. */
static void find_onsets(const uint8_t *plane, const uint8_t *before, size_t stride, uint8_t *onsets) {
    for (size_t i = 0; i < stride; i++) onsets[i] = before ? plane[i] & (uint8_t)~before[i] : plane[i];
}

static void add_frame(rebuilt_t *rebuilt, const model_config_t *config, const uint8_t *truth,
                      const uint8_t *truth_before, const uint8_t *found, const uint8_t *found_before) {
    const size_t P = config->pitches, stride = roll_stride(P);
    for (size_t k = 0; k < config->tracks; k++) {
        const size_t plane = k * config->planes * stride;
        uint8_t a[MAX_STRIDE], b[MAX_STRIDE];
        cells_add(&rebuilt->cells, truth + plane, found + plane, P);
        if (config->planes > PLANE_ONSET) {
            cells_add(&rebuilt->onsets, truth + plane + stride, found + plane + stride, P);
            continue;
        }
        find_onsets(truth + plane, truth_before ? truth_before + plane : NULL, stride, a);
        find_onsets(found + plane, found_before ? found_before + plane : NULL, stride, b);
        cells_add(&rebuilt->onsets, a, b, P);
    }
}

void rebuilt_add(rebuilt_t *rebuilt, const model_config_t *config, const uint8_t *truth,
                 const uint8_t *truth_before, const uint8_t *found, const uint8_t *found_before,
                 size_t frames) {
    const size_t bytes = model_frame_bytes(config);
    const cells_t before = rebuilt->cells;
    for (size_t t = 0; t < frames; t++)
        add_frame(rebuilt, config, truth + t * bytes, t > 0 ? truth + (t - 1) * bytes : truth_before,
                  found + t * bytes, t > 0 ? found + (t - 1) * bytes : found_before);
    const cells_t *cells = &rebuilt->cells;
    rebuilt->off += fabs((cells->false_alarms - before.false_alarms) - (cells->misses - before.misses));
}

double rebuilt_density_error(const rebuilt_t *rebuilt) {
    return rebuilt->off / MAX(1, rebuilt->cells.hits + rebuilt->cells.misses);
}

void rebuilt_tell(const rebuilt_t *rebuilt, const char *prefix, gboolean known, json_t *members) {
    g_autofree char *onsets = g_strconcat(prefix, "onset_", NULL),
                    *density = g_strconcat(prefix, "density_error", NULL);
    cells_tell(&rebuilt->cells, prefix, known, members);
    cells_tell(&rebuilt->onsets, onsets, known, members);
    json_number(members, density, known ? rebuilt_density_error(rebuilt) : NAN);
}
