/* wishes: owns how what is wished becomes nats of cells. Chords and keys are the same for all particles. How
 * many notes, and how high, goes by what each particle has: the further it is from what is wished, the more
 * it is drawn there, as a controller does. */
#include "sampler/make/wishes.h"

#include <string.h>

#include "trainer/model/pitch_set.h"

enum { CLASSES = 12 };
#define OFF_CHORD 8.0 /* nats that a note outside the chord costs */
#define OFF_KEY   4.0 /* and one outside the key */
#define MOST      3.0 /* of what a controller adds */
#define A_NOTE    1.0 /* that it adds for each note that is missing */
#define AN_OCTAVE 2.0 /* by which two keys an octave apart differ, where the mean is an octave off */

/* What a particle has. */
typedef struct {
    double onsets; /* begun in the current bar */
    double keys;   /* that sounded in the frame before, in pitched tracks */
    double mean;   /* their mean pitch, MIDI; kept where none sounds; 0: none has */
} has_t;

struct wishes {
    const wishes_config_t *config;
    size_t frames, bytes, stride;
    size_t *bar;            /* [frames] */
    double *beats;          /* [frames + 1]: from the beginning of the bar to that of the frame */
    has_t *has, *other;     /* [most] */
    uint8_t *last, *buffer; /* [most, bytes]: the frame before */
    particles_wish_t wish;
};

static gboolean is_drums(const wishes_t *wishes, size_t track) {
    return wishes->config->grid->roles[track] == ROLE_DRUMS;
}

static const double *wished(const wishes_t *wishes, const wishes_bars_t *bars, size_t t) {
    return bars->n > 0 ? &bars->values[wishes->bar[t] % bars->n] : NULL;
}

static pitch_set_t sounding(const wishes_t *wishes, const uint8_t *frame, size_t track) {
    const size_t planes = wishes->config->planes;
    return pitch_set_read(frame + track * planes * wishes->stride, (size_t)wishes->config->grid->pitches);
}

/* ---- what a particle has ---- */

/* Notes that a frame begins. */
static size_t count_onsets(const wishes_t *wishes, const uint8_t *before, const uint8_t *frame) {
    const grid_t *grid = wishes->config->grid;
    size_t n = 0;
    for (size_t k = 0; k < (size_t)grid->n_tracks; k++) {
        const pitch_set_t now = sounding(wishes, frame, k);
        const uint8_t *onsets = frame + (k * wishes->config->planes + PLANE_ONSET) * wishes->stride;
        n += pitch_set_count(wishes->config->planes == ROLL_PLANES
                                 ? pitch_set_read(onsets, (size_t)grid->pitches)
                                 : now & ~sounding(wishes, before, k));
    }
    return n;
}

static void take(void *data, size_t t, size_t k, const uint8_t *frame) {
    wishes_t *wishes = data;
    has_t *has = &wishes->has[k];
    const grid_t *grid = wishes->config->grid;
    size_t sum = 0, keys = 0;
    if (t == 0 || wishes->bar[t] != wishes->bar[t - 1]) has->onsets = 0;
    has->onsets += (double)count_onsets(wishes, wishes->last + k * wishes->bytes, frame);
    for (size_t track = 0; track < (size_t)grid->n_tracks; track++)
        for (pitch_set_t left = is_drums(wishes, track) ? 0 : sounding(wishes, frame, track); left; keys++)
            sum += pitch_set_take(&left);
    has->keys = (double)keys;
    if (keys > 0) has->mean = grid->pitch_low + (double)sum / (double)keys;
    memcpy(wishes->last + k * wishes->bytes, frame, wishes->bytes);
}

static void select_parents(void *data, const uint32_t *parents, size_t n) {
    wishes_t *wishes = data;
    has_t *has = wishes->has;
    uint8_t *last = wishes->last;
    for (size_t k = 0; k < n; k++) {
        wishes->other[k] = has[parents[k]];
        memcpy(wishes->buffer + k * wishes->bytes, last + parents[k] * wishes->bytes, wishes->bytes);
    }
    wishes->has = wishes->other;
    wishes->last = wishes->buffer;
    wishes->other = has;
    wishes->buffer = last;
}

/* ---- what is wished of it ---- */

/* Nats for a sounding cell of each pitch class, and of each note that begins, and of each that sounds, and a
 * semitone upwards. */
typedef struct {
    double class[CLASSES];
    double begins, sounds, semitone, middle;
} tilt_t;

static tilt_t find_tilt(const wishes_t *wishes, size_t t, const has_t *has) {
    const wishes_config_t *config = wishes->config;
    const double s = config->strength, *density = wished(wishes, &config->density, t),
                 *keys = wished(wishes, &config->polyphony, t), *height = wished(wishes, &config->height, t);
    const uint16_t chord = config->chords ? config->chords[t] : 0;
    tilt_t tilt = {.begins = 0};
    for (int c = 0; c < CLASSES; c++) {
        if (chord && !(chord >> c & 1)) tilt.class[c] -= s * OFF_CHORD;
        if (config->scale && !(config->scale >> c & 1)) tilt.class[c] -= s * OFF_KEY;
    }
    const double onsets = t > 0 && wishes->bar[t] == wishes->bar[t - 1] ? has->onsets : 0;
    if (density) tilt.begins = s * CLAMP(A_NOTE * (*density * wishes->beats[t] - onsets), -MOST, MOST);
    if (keys) tilt.sounds = s * CLAMP(A_NOTE * (*keys - has->keys), -MOST, MOST);
    if (height && has->mean > 0) {
        tilt.middle = *height;
        tilt.semitone = s * AN_OCTAVE / CLASSES * CLAMP((*height - has->mean) / CLASSES, -1, 1);
    }
    return tilt;
}

static void cells(void *data, size_t t, size_t k, real_t *which, double *begins, double *stays) {
    const wishes_t *wishes = data;
    const wishes_config_t *config = wishes->config;
    const size_t P = (size_t)config->grid->pitches, planes = config->planes;
    const tilt_t tilt = find_tilt(wishes, t, &wishes->has[k]);
    *begins = tilt.begins + tilt.sounds;
    *stays = tilt.sounds;
    memset(which, 0, (size_t)config->grid->n_tracks * planes * P * sizeof *which);
    for (size_t track = 0; track < (size_t)config->grid->n_tracks; track++) {
        real_t *row = which + track * planes * P;
        for (size_t p = 0; p < P && !is_drums(wishes, track); p++) {
            const size_t pitch = (size_t)config->grid->pitch_low + p;
            row[p] = (real_t)(tilt.class[pitch % CLASSES] + tilt.semitone * ((double)pitch - tilt.middle));
        }
    }
}

/* ---- their life ---- */

/* Bars, and beats since their beginning, counted to the middle of a frame: its share of what is wished. */
static void count_bars(wishes_t *wishes) {
    const wishes_config_t *config = wishes->config;
    g_autoptr(GArray) bars = timeline_bars(config->timeline, (int64_t)wishes->frames);
    guint bar = 0;
    for (size_t t = 0; t < wishes->frames; t++) {
        while (bar + 1 < bars->len && g_array_index(bars, bar_t, bar + 1).frame <= (double)t + 1e-9) bar++;
        wishes->bar[t] = bar;
        wishes->beats[t] =
            ((double)t + 0.5 - g_array_index(bars, bar_t, bar).frame) / config->timeline->steps_per_beat;
    }
}

wishes_t *wishes_new(const wishes_config_t *config, size_t most, size_t frames) {
    wishes_t *wishes = g_new0(wishes_t, 1);
    wishes->config = config;
    wishes->frames = frames;
    wishes->stride = roll_stride((size_t)config->grid->pitches);
    wishes->bytes = (size_t)config->grid->n_tracks * config->planes * wishes->stride;
    wishes->bar = g_new(size_t, frames);
    wishes->beats = g_new(double, frames);
    wishes->has = g_new0(has_t, most);
    wishes->other = g_new0(has_t, most);
    wishes->last = g_malloc0(most * wishes->bytes);
    wishes->buffer = g_malloc0(most * wishes->bytes);
    wishes->wish = (particles_wish_t){cells, take, select_parents, wishes};
    count_bars(wishes);
    return wishes;
}

void wishes_free(wishes_t *wishes) {
    if (!wishes) return;
    void *const buffers[] = {wishes->bar,   wishes->beats, wishes->has,
                             wishes->other, wishes->last,  wishes->buffer};
    for (size_t i = 0; i < G_N_ELEMENTS(buffers); i++) g_free(buffers[i]);
    g_free(wishes);
}

const particles_wish_t *wishes_begin(wishes_t *wishes) {
    wishes->has[0] = (has_t){.onsets = 0};
    memset(wishes->last, 0, wishes->bytes);
    return &wishes->wish;
}

uint16_t wishes_scale(int tonic, gboolean minor) {
    static const uint16_t major = 0xAB5,
                          minors = 0x1AD; /* steps above the tonic: 0 2 4 5 7 9 11; 0 2 3 5 7 8 */
    const unsigned steps =
        minor ? minors | 1u << 10 | 1u << 11 : major; /* the seventh and the leading note */
    return (uint16_t)((steps << tonic | steps >> (CLASSES - tonic)) & 0xFFF);
}
