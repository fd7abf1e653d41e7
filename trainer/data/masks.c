/* masks: owns how often each kind is drawn. */
#include "trainer/data/masks.h"

#include <math.h>
#include <string.h>

#include "preprocess/roll/roll.h"
#include "trainer/model/pitch_set.h"

#define LONGEST_SPAN 64.0 /* frames, of a gap and of what is known between two */

/* A song under way. */
typedef struct {
    const rng_t *rng;
    uint64_t element;
    const uint8_t *bits;
    uint8_t *known;
    size_t frames, tracks, planes, P, stride;
} draw_t;

const char *mask_kind_name(mask_kind_t kind) {
    static const char *const names[MASK_KINDS] = {"gaps", "tracks", "lines", "keys"};
    return names[kind];
}

static double next_uniform(draw_t *draw) { return rng_uniform(draw->rng, draw->element++); }
static size_t next_below(draw_t *draw, size_t n) { return (size_t)(next_uniform(draw) * (double)n); }

/* 1 .. LONGEST_SPAN, each octave of lengths as often as the others. */
static size_t next_span(draw_t *draw) { return (size_t)exp2(next_uniform(draw) * log2(LONGEST_SPAN + 1)); }

static size_t row_at(const draw_t *draw, size_t t, size_t k, size_t plane) {
    return ((t * draw->tracks + k) * draw->planes + plane) * draw->stride;
}

static pitch_set_t read_row(const draw_t *draw, const uint8_t *rows, size_t t, size_t k, size_t plane) {
    return pitch_set_read(rows + row_at(draw, t, k, plane), draw->P);
}

static void write_known(draw_t *draw, size_t t, size_t k, pitch_set_t known) {
    for (size_t plane = 0; plane < draw->planes; plane++)
        pitch_set_write(known, draw->known + row_at(draw, t, k, plane), draw->P);
}

/* Some tracks as bits, at least one; and if there are others, not all. */
static unsigned next_tracks(draw_t *draw) {
    const unsigned all = (1U << draw->tracks) - 1;
    return draw->tracks > 1 ? 1 + (unsigned)next_below(draw, all - 1) : all;
}

/* Gaps of all tracks, or of some where the others are known throughout. */
static void draw_gaps(draw_t *draw) {
    const unsigned all = (1U << draw->tracks) - 1,
                   tracks = next_uniform(draw) < 0.5 ? all : next_tracks(draw);
    const size_t known = next_span(draw);
    size_t t = MIN(known, draw->frames - 1);
    while (t < draw->frames) {
        const size_t span = next_span(draw), end = MIN(draw->frames, t + span);
        for (; t < end; t++)
            for (size_t k = 0; k < draw->tracks; k++)
                if (tracks >> k & 1) write_known(draw, t, k, 0);
        t += next_span(draw);
    }
}

static void draw_tracks(draw_t *draw) {
    const unsigned open = next_tracks(draw);
    for (size_t t = 0; t < draw->frames; t++)
        for (size_t k = 0; k < draw->tracks; k++)
            if (open >> k & 1) write_known(draw, t, k, 0);
}

/* The top line, or else the bottom line, of all tracks together is known, with the silence beyond it. */
static void draw_line(draw_t *draw) {
    const gboolean top = next_uniform(draw) < 0.7;
    pitch_set_t known = 0;
    for (size_t t = 0; t < draw->frames; t++) {
        pitch_set_t sounding = 0;
        for (size_t k = 0; k < draw->tracks; k++)
            sounding |= read_row(draw, draw->bits, t, k, PLANE_SOUNDING);
        if (sounding && top) known = ~pitch_set_below(pitch_set_highest(sounding));
        if (sounding && !top) known = pitch_set_below(pitch_set_lowest(sounding) + 1);
        for (size_t k = 0; k < draw->tracks; k++) write_known(draw, t, k, known);
    }
}

/* All keys from one on, or all below it. */
static void draw_keys(draw_t *draw) {
    const pitch_set_t below = pitch_set_below(draw->P / 4 + next_below(draw, draw->P / 2 + 1));
    const pitch_set_t known = next_uniform(draw) < 0.5 ? below : ~below;
    for (size_t t = 0; t < draw->frames; t++)
        for (size_t k = 0; k < draw->tracks; k++) write_known(draw, t, k, known);
}

/* A note that is known to go on sounded before, and that is known, too. */
static void close_notes(draw_t *draw) {
    for (size_t t = draw->frames; draw->planes > 1 && t-- > 1;)
        for (size_t k = 0; k < draw->tracks; k++) {
            const pitch_set_t goes_on = read_row(draw, draw->bits, t, k, PLANE_SOUNDING) &
                                        ~read_row(draw, draw->bits, t, k, PLANE_ONSET) &
                                        read_row(draw, draw->known, t, k, PLANE_ONSET),
                              known = read_row(draw, draw->known, t - 1, k, PLANE_SOUNDING);
            pitch_set_write(known | goes_on, draw->known + row_at(draw, t - 1, k, PLANE_SOUNDING), draw->P);
        }
}

mask_kind_t mask_draw(const model_config_t *config, const rng_t *rng, const uint8_t *bits, size_t frames,
                      uint8_t *known) {
    draw_t draw = {.rng = rng,
                   .bits = bits,
                   .known = known,
                   .frames = frames,
                   .tracks = config->tracks,
                   .planes = config->planes,
                   .P = config->pitches,
                   .stride = roll_stride(config->pitches)};
    const double which = next_uniform(&draw);
    mask_kind_t kind = which < 0.4    ? MASK_GAPS
                       : which < 0.75 ? MASK_TRACKS
                       : which < 0.9  ? MASK_LINE
                                      : MASK_KEYS;
    if (kind == MASK_TRACKS && draw.tracks == 1) kind = MASK_LINE;
    memset(known, 0xFF, frames * model_frame_bytes(config));
    if (kind == MASK_GAPS) draw_gaps(&draw);
    if (kind == MASK_TRACKS) draw_tracks(&draw);
    if (kind == MASK_LINE) draw_line(&draw);
    if (kind == MASK_KEYS) draw_keys(&draw);
    close_notes(&draw);
    return kind;
}
