/* active_units: owns the variance of latent means over segments. */
#include "trainer/evaluate/active_units.h"

int active_units(const double *moments, double n, size_t Z) {
    int active = 0;
    for (size_t j = 0; j < Z; j++) {
        const double mean = moments[j] / n;
        active += moments[Z + j] / n - mean * mean > ACTIVE_UNITS_VARIANCE;
    }
    return active;
}
