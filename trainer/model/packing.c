/* packing: owns where each frame of a batch of unequal sequences lies. */
#include "trainer/model/packing.h"

#include <glib.h>

void packing_init(packing_t *packing, size_t max_T) {
    *packing = (packing_t){.max_T = max_T, .offset = g_new0(uint32_t, max_T + 1)};
}

void packing_clear(packing_t *packing) { g_clear_pointer(&packing->offset, g_free); }

void packing_make(packing_t *packing, const uint32_t *lengths, size_t B, size_t unit) {
    packing->B = B;
    packing->T = (lengths[0] + unit - 1) / unit;
    g_assert(packing->T <= packing->max_T);
    size_t under_way = B, rows = 0;
    for (size_t t = 0; t < packing->T; t++) {
        packing->offset[t] = (uint32_t)rows;
        while (under_way > 0 && (lengths[under_way - 1] + unit - 1) / unit <= t) under_way--;
        rows += under_way;
    }
    packing->offset[packing->T] = (uint32_t)rows;
    packing->rows = rows;
}

void packing_shift(packing_t *packing, size_t first) {
    for (size_t t = 0; t <= packing->T; t++) packing->offset[t] += (uint32_t)first;
}
