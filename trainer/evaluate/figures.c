/* figures: owns the arithmetic of active units and of notes found. Refuses nothing. */
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
