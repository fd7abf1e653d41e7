/* scale: owns what a round number is. Refuses nothing. */
#include "sampler/show/scale.h"

#include <math.h>

scale_t scale_round(double low, double high, double ticks) {
    if (high - low < 1e-9 * fmax(1, fabs(high))) {
        low -= 0.5;
        high += 0.5;
    }
    const double raw = (high - low) / ticks, power = pow(10, floor(log10(raw))), part = raw / power;
    const double tick = power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
    return (scale_t){.low = floor(low / tick) * tick, .high = high, .tick = tick};
}

double scale_place(const scale_t *scale, double value, double from, double to) {
    return from + (value - scale->low) / (scale->high - scale->low) * (to - from);
}
