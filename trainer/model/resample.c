/* resample: owns sums of weights that are given as logarithms. */
#include "trainer/model/resample.h"

#include <glib.h>
#include <math.h>

double resample_log_mean(const double *log_w, size_t K, double *effective) {
    double most = log_w[0], sum = 0, squares = 0;
    for (size_t k = 1; k < K; k++) most = MAX(most, log_w[k]);
    if (effective) *effective = 0;
    if (most == -INFINITY) return most;
    for (size_t k = 0; k < K; k++) {
        const double w = exp(log_w[k] - most);
        sum += w;
        squares += w * w;
    }
    if (effective) *effective = sum * sum / squares;
    return most + log(sum / (double)K);
}

void resample_systematic(const double *log_w, size_t K, double log_mean, double u, uint32_t first,
                         uint32_t *parents) {
    double cumulative = exp(log_w[0] - log_mean); /* of weights whose sum is K */
    uint32_t parent = 0;
    for (size_t j = 0; j < K; j++) {
        while (cumulative <= (double)j + u && parent + 1 < K) cumulative += exp(log_w[++parent] - log_mean);
        parents[j] = first + parent;
    }
}

uint32_t resample_one(const double *log_w, size_t K, double log_mean, double u) {
    double cumulative = exp(log_w[0] - log_mean);
    uint32_t chosen = 0;
    while (cumulative <= u * (double)K && chosen + 1 < K) cumulative += exp(log_w[++chosen] - log_mean);
    return chosen;
}
