/* cut: owns where the bars of a song are, in ticks, and which of them are cut. A bar begins at tick 0, at
 * each change of meter and at each bar line of the meter in force, which is 4/4 at first. Refuses nothing. */
#include "preprocess/roll/cut.h"

#include <math.h>

enum { PARTS = 32 }; /* of a tick: the shortest bar, 1/128, is a whole number of them */

/* A stretch of one meter. */
typedef struct {
    int64_t tick, next; /* where it begins, and the next one (G_MAXINT64: none) */
    int64_t bar;        /* length of a bar, in parts of a tick */
} stretch_t;

/* Ticks [from, to) that are cut. */
typedef struct {
    int64_t from, to;
} gap_t;

cut_t cut_default(void) { return (cut_t){.max_note = 64, .max_silence = 16}; }

/* ---- bars ---- */

static const stretch_t *stretch_at(const GArray *stretches, guint i) {
    return &g_array_index(stretches, stretch_t, i);
}

static int64_t bar_of(const song_t *song, int numerator, int denominator) {
    return (int64_t)song->ticks_per_beat * 4 * PARTS * numerator / denominator;
}

static GArray *find_stretches(const song_t *song) {
    GArray *stretches = g_array_new(FALSE, FALSE, sizeof(stretch_t));
    stretch_t first = {.tick = 0, .next = G_MAXINT64, .bar = bar_of(song, 4, 4)};
    g_array_append_val(stretches, first);
    for (guint i = 0; i < song->meters->len; i++) {
        const meter_t *meter = &g_array_index(song->meters, meter_t, i);
        stretch_t *last = &g_array_index(stretches, stretch_t, stretches->len - 1);
        stretch_t stretch = {.tick = meter->tick,
                             .next = G_MAXINT64,
                             .bar = bar_of(song, meter->numerator, meter->denominator)};
        if (last->tick == stretch.tick)
            *last = stretch;
        else if (last->bar != stretch.bar) {
            last->next = stretch.tick;
            g_array_append_val(stretches, stretch);
        }
    }
    return stretches;
}

/* The stretch in which a tick lies; its index goes to *at. Looks from *at on, as ticks come in order. */
static const stretch_t *go_to(const GArray *stretches, guint *at, int64_t tick) {
    while (stretch_at(stretches, *at)->next <= tick) ++*at;
    return stretch_at(stretches, *at);
}

/* Bars from the stretch's start to a tick in it, or to its end. */
static double bars_to(const stretch_t *stretch, int64_t tick) {
    return tick == G_MAXINT64 ? INFINITY : (double)((tick - stretch->tick) * PARTS) / (double)stretch->bar;
}

static int64_t line_of(const stretch_t *stretch, int64_t bars) {
    return MIN(stretch->tick + bars * stretch->bar / PARTS, stretch->next);
}

/* The bar line `bars` after a bar line that lies in stretch i. */
static int64_t go_on(const GArray *stretches, guint i, int64_t line, int64_t bars) {
    for (;; i++) {
        const stretch_t *stretch = stretch_at(stretches, i);
        int64_t done = llround(bars_to(stretch, line)), end = done + bars;
        if (stretch->next == G_MAXINT64 || line_of(stretch, end) < stretch->next)
            return line_of(stretch, end);
        bars -= (int64_t)ceil(bars_to(stretch, stretch->next)) - done;
        line = stretch->next;
    }
}

/* ---- notes ---- */

/* The tick `bars` bars after a tick of stretch i. */
static int64_t tick_after(const GArray *stretches, guint i, int64_t tick, double bars) {
    for (;; i++) {
        const stretch_t *stretch = stretch_at(stretches, i);
        double rest = bars_to(stretch, stretch->next) - bars_to(stretch, tick);
        if (bars <= rest) return tick + llround(bars * (double)stretch->bar / PARTS);
        bars -= rest;
        tick = stretch->next;
    }
}

void cut_notes(song_t *song, int bars, gboolean *cut) {
    g_autoptr(GArray) stretches = find_stretches(song);
    guint at = 0;
    for (guint i = 0; i < song->notes->len; i++) {
        note_t *note = &g_array_index(song->notes, note_t, i);
        go_to(stretches, &at, note->onset);
        int64_t longest = tick_after(stretches, at, note->onset, bars) - note->onset;
        if (note->length <= longest) continue;
        note->length = longest;
        cut[i] = TRUE;
    }
}

/* ---- silences ---- */

/* How many whole bars of the silence [from, to) are cut; gap: which ticks. */
static int64_t find_gap(const GArray *stretches, guint *at, int64_t from, int64_t to, int bars, gap_t *gap) {
    const stretch_t *before = go_to(stretches, at, from);
    guint first = *at, last = first;
    const double begun = bars_to(before, from),
                 rest = MIN(ceil(begun), bars_to(before, before->next)) - begun;
    int64_t line = line_of(before, (int64_t)ceil(begun)), whole = 0;
    if (line >= to) return 0;
    const stretch_t *after = go_to(stretches, &last, to);
    const double ended = bars_to(after, to), more = ended - floor(ended);
    go_to(stretches, &first, line);
    for (guint i = first; i < last; i++)
        whole += (int64_t)(ceil(bars_to(stretch_at(stretches, i), stretch_at(stretches, i)->next)));
    whole += (int64_t)floor(ended) - llround(bars_to(stretch_at(stretches, first), line));
    const double beside = rest + more, tiny = 1e-9;
    if ((double)whole + beside <= bars + tiny) return 0;
    const int64_t stays = MAX(bars - (int64_t)ceil(beside - tiny), 0);
    *gap = (gap_t){.from = go_on(stretches, first, line, stays), .to = line_of(after, (int64_t)floor(ended))};
    return MAX(whole - stays, 0);
}

/* The gaps to cut. Silences are the ticks under no note; a note of no length sounds at its onset. */
static GArray *find_gaps(const song_t *song, int bars, const gboolean *sounds, int64_t *taken) {
    GArray *gaps = g_array_new(FALSE, FALSE, sizeof(gap_t));
    g_autoptr(GArray) stretches = find_stretches(song);
    int64_t end = 0;
    guint at = 0;
    for (guint i = 0; i <= song->notes->len; i++) {
        if (sounds && i < song->notes->len && !sounds[i]) continue;
        const note_t *note = i < song->notes->len ? &g_array_index(song->notes, note_t, i) : NULL;
        const int64_t next = note ? note->onset : song->ticks;
        gap_t gap;
        int64_t gone = next > end ? find_gap(stretches, &at, end, next, bars, &gap) : 0;
        if (gone > 0) g_array_append_val(gaps, gap);
        *taken += gone;
        if (note) end = MAX(end, note->onset + note->length);
    }
    return gaps;
}

typedef struct {
    const GArray *gaps;
    guint next;   /* the first gap not passed */
    int64_t gone; /* ticks of those before */
} mover_t;

/* The tick's place once the gaps are cut; ticks come in order. */
static int64_t move(mover_t *mover, int64_t tick) {
    for (; mover->next < mover->gaps->len; mover->next++) {
        const gap_t *gap = &g_array_index(mover->gaps, gap_t, mover->next);
        if (tick < gap->to) return MIN(tick, gap->from) - mover->gone;
        mover->gone += gap->to - gap->from;
    }
    return tick - mover->gone;
}

/* Moves the ticks of a list, which is in order as all of a song's are. */
static void move_all(GArray *list, const GArray *gaps) {
    mover_t mover = {.gaps = gaps};
    for (guint i = 0; i < list->len; i++) *song_tick_at(list, i) = move(&mover, *song_tick_at(list, i));
}

int64_t cut_silences(song_t *song, int bars, const gboolean *sounds) {
    int64_t taken = 0;
    g_autoptr(GArray) gaps = find_gaps(song, bars, sounds, &taken);
    if (gaps->len == 0) return 0;
    GArray *const lists[] = {song->notes, song->tempi, song->meters, song->pedals};
    for (size_t i = 0; i < G_N_ELEMENTS(lists); i++) move_all(lists[i], gaps);
    song->ticks = move(&(mover_t){.gaps = gaps}, song->ticks);
    return taken;
}
