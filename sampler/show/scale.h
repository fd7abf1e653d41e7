/* scale: an axis: from numbers to places on the page, with round numbers as ticks. */
#pragma once

typedef struct {
    double low, high, tick; /* low is a tick */
} scale_t;

/* Ticks of 1, 2 or 5 times a power of ten, about `ticks` of them from low, which becomes one, to high. */
scale_t scale_round(double low, double high, double ticks);
/* The place of a value between those of the scale's ends. */
double scale_place(const scale_t *scale, double value, double from, double to);
