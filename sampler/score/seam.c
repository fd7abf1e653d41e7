/* seam: owns the seam score: features of frame-to-frame steps by position in a segment, and their distance
 * from real songs. Refuses nothing: what is undefined is NaN. */
#include "sampler/score/seam.h"

#include <math.h>
#include <string.h>

#include "sampler/score/score.h"
#include "sampler/score/tonal.h"

static const double MOST_Z = 5, LEAST_SD = 1e-9;

/* What a step needs to know of a frame. */
typedef struct {
    double pitch; /* mean of the keys that sound, drums left out; NaN: silence */
    double centroid[TONAL_DIMENSIONS];
} frame_t;

const char *seam_feature_name(seam_feature_t feature) {
    static const char *const names[SEAM_FEATURES] = {"onsets", "held", "harmony", "register"};
    return names[feature];
}

static size_t count_onsets(const roll_t *roll, size_t frame) {
    size_t onsets = 0;
    for (size_t k = 0; k < roll->tracks; k++)
        onsets += roll_count_bits(roll_plane(roll, frame, k, PLANE_ONSET), roll->stride);
    return onsets;
}

/* Share of the keys of frame - 1 that are held over into frame. */
static double share_held(const roll_t *roll, const grid_t *grid, size_t frame) {
    size_t before = 0, held = 0;
    for (size_t k = 0; k < roll->tracks; k++) {
        if (grid->roles[k] == ROLE_DRUMS) continue;
        const uint8_t *was = roll_plane(roll, frame - 1, k, PLANE_SOUNDING),
                      *is = roll_plane(roll, frame, k, PLANE_SOUNDING);
        const uint8_t *onset = roll_plane(roll, frame, k, PLANE_ONSET);
        for (size_t i = 0; i < roll->stride; i++) {
            before += (size_t)__builtin_popcount(was[i]);
            held += (size_t)__builtin_popcount(was[i] & is[i] & ~onset[i]);
        }
    }
    return before > 0 ? (double)held / (double)before : NAN;
}

static frame_t look_at(const roll_t *roll, const grid_t *grid, size_t frame) {
    frame_t look = {.pitch = NAN};
    double chroma[TONAL_CLASSES] = {0}, sum = 0;
    size_t keys = 0;
    for (size_t k = 0; k < roll->tracks; k++) {
        if (grid->roles[k] == ROLE_DRUMS) continue;
        const uint8_t *plane = roll_plane(roll, frame, k, PLANE_SOUNDING);
        keys += tonal_add_plane(plane, grid, chroma);
        for (size_t i = 0; i < roll->stride; i++)
            for (unsigned bits = plane[i]; bits != 0; bits &= bits - 1)
                sum += (double)(8 * i) + __builtin_ctz(bits);
    }
    if (tonal_centroid(chroma, look.centroid)) look.pitch = sum / (double)keys;
    return look;
}

void seam_measure(const roll_t *roll, const grid_t *grid, size_t frames, double *values) {
    const size_t end = roll_sounding_end(roll), cells = SEAM_FEATURES * frames;
    g_autofree size_t *n = g_new0(size_t, cells);
    for (size_t i = 0; i < cells; i++) values[i] = end > frames ? 0 : NAN;
    if (end <= frames) return;
    frame_t before = look_at(roll, grid, 0);
    for (size_t t = 1; t < end; t++) {
        const frame_t here = look_at(roll, grid, t);
        const gboolean sounds = !isnan(before.pitch) && !isnan(here.pitch);
        const double step[SEAM_FEATURES] = {
            [SEAM_ONSETS] = (double)count_onsets(roll, t),
            [SEAM_HELD] = share_held(roll, grid, t),
            [SEAM_HARMONY] = sounds ? tonal_distance(before.centroid, here.centroid) : NAN,
            [SEAM_REGISTER] = sounds ? fabs(here.pitch - before.pitch) : NAN,
        };
        for (size_t f = 0; f < SEAM_FEATURES; f++) {
            if (isnan(step[f])) continue;
            values[f * frames + t % frames] += step[f];
            n[f * frames + t % frames]++;
        }
        before = here;
    }
    for (size_t i = 0; i < cells; i++) values[i] = n[i] > 0 ? values[i] / (double)n[i] : NAN;
}

seam_yardstick_t *seam_yardstick_new(const double *values, size_t n, size_t frames) {
    const size_t cells = SEAM_FEATURES * frames;
    seam_yardstick_t *yardstick = g_new(seam_yardstick_t, 1);
    *yardstick =
        (seam_yardstick_t){.frames = frames, .mean = g_new(double, cells), .sd = g_new(double, cells)};
    for (size_t c = 0; c < cells; c++) {
        const score_summary_t summary = score_summarise(values + c, n, cells);
        yardstick->mean[c] = summary.mean;
        yardstick->sd[c] = summary.sd;
    }
    return yardstick;
}

void seam_yardstick_free(seam_yardstick_t *yardstick) {
    if (!yardstick) return;
    g_free(yardstick->mean);
    g_free(yardstick->sd);
    g_free(yardstick);
}

seam_t seam_score(const seam_yardstick_t *yardstick, const double *values) {
    double border[SEAM_FEATURES], inside[SEAM_FEATURES];
    seam_t seam;
    for (size_t f = 0; f < SEAM_FEATURES; f++) {
        double sum = 0, absolute = 0;
        size_t n = 0;
        border[f] = inside[f] = seam.at_border[f] = seam.at_inside[f] = NAN;
        for (size_t q = 0; q < yardstick->frames; q++) {
            const size_t c = f * yardstick->frames + q;
            if (isnan(values[c]) || !(yardstick->sd[c] > LEAST_SD)) continue;
            const double z = CLAMP((values[c] - yardstick->mean[c]) / yardstick->sd[c], -MOST_Z, MOST_Z);
            if (q == 0) {
                seam.at_border[f] = z;
                continue;
            }
            sum += z;
            absolute += fabs(z);
            n++;
        }
        if (n > 0) seam.at_inside[f] = sum / (double)n;
        if (n == 0 || isnan(seam.at_border[f])) continue;
        border[f] = fabs(seam.at_border[f]);
        inside[f] = absolute / (double)n;
    }
    seam.border = score_summarise(border, SEAM_FEATURES, 1).mean;
    seam.inside = score_summarise(inside, SEAM_FEATURES, 1).mean;
    seam.seam = seam.border - seam.inside;
    return seam;
}
