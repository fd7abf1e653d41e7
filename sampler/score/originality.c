/* originality: owns events, their symbols and the suffix automaton. Refuses nothing but a lack of memory. */
#include "sampler/score/originality.h"

#include <string.h>

#include "preprocess/common/program.h"
#include "sampler/score/tonal.h"

#define NONE G_MAXUINT32

typedef struct {
    uint32_t frame;
    int32_t lowest;
    uint32_t notes;
    uint8_t shape[TONAL_MAX_STRIDE]; /* the keys begun, moved down until the lowest is bit 0 */
} event_t;

/* A step from one event to the next; plain bytes without gaps, the key of a hash table. */
typedef struct {
    int32_t frames, semitones;
    uint8_t shapes[2][TONAL_MAX_STRIDE];
} step_t;

typedef struct {
    uint32_t length; /* of the longest subword that ends here */
    uint32_t link;   /* state of its longest suffix that ends elsewhere too */
    uint32_t end;    /* symbol at which its first occurrence ends */
    uint32_t edges;  /* first of a list */
} state_t;

typedef struct {
    uint32_t from, symbol, to, next;
} edge_t;

typedef struct {
    state_t *states;
    edge_t *edges;
    uint32_t *table; /* open addressing by (from, symbol) to edges */
    uint32_t n_states, n_edges, mask, last;
} automaton_t;

struct originality {
    grid_t grid;
    guint tracks;
    GArray *events;      /* event_t of all songs, one after the other; event i makes symbol i */
    GArray *first_event; /* uint32_t, of each song */
    GHashTable *symbols; /* step_t -> symbol + 1 */
    automaton_t automaton;
};

/* ---- events and symbols ---- */

static void append_events(const originality_t *o, const roll_t *roll, GArray *events) {
    uint8_t before[TONAL_MAX_STRIDE] = {0}, now[TONAL_MAX_STRIDE], begun[TONAL_MAX_STRIDE];
    for (size_t t = 0; t < roll->frames; t++) {
        event_t event = {.frame = (uint32_t)t, .lowest = -1};
        tonal_merge_tracks(roll, &o->grid, o->tracks, t, now);
        for (size_t i = 0; i < roll->stride; i++) {
            begun[i] = (uint8_t)(now[i] & ~before[i]);
            event.notes += (uint32_t)__builtin_popcount(begun[i]);
            if (event.lowest < 0 && begun[i] != 0) event.lowest = (int32_t)(8 * i) + __builtin_ctz(begun[i]);
        }
        memcpy(before, now, sizeof before);
        if (event.notes == 0) continue;
        roll_shift_plane(begun, event.shape, roll->pitches, -event.lowest);
        g_array_append_val(events, event);
    }
}

static step_t step_between(const event_t *a, const event_t *b) {
    step_t step = {.frames = (int32_t)(b->frame - a->frame), .semitones = b->lowest - a->lowest};
    memcpy(step.shapes[0], a->shape, TONAL_MAX_STRIDE);
    memcpy(step.shapes[1], b->shape, TONAL_MAX_STRIDE);
    return step;
}

static guint step_hash(gconstpointer key) { /* FNV-1a */
    const uint8_t *bytes = key;
    guint hash = 2166136261u;
    for (size_t i = 0; i < sizeof(step_t); i++) hash = (hash ^ bytes[i]) * 16777619u;
    return hash;
}

static gboolean step_equal(gconstpointer a, gconstpointer b) { return memcmp(a, b, sizeof(step_t)) == 0; }

static uint32_t symbol_of(const originality_t *o, const event_t *a, const event_t *b) {
    const step_t step = step_between(a, b);
    return GPOINTER_TO_UINT(g_hash_table_lookup(o->symbols, &step)) - 1; /* NONE where no song has it */
}

static void learn_symbol(originality_t *o, const event_t *a, const event_t *b) {
    const step_t step = step_between(a, b);
    if (g_hash_table_contains(o->symbols, &step)) return;
    g_hash_table_insert(o->symbols, g_memdup2(&step, sizeof step),
                        GUINT_TO_POINTER(g_hash_table_size(o->symbols) + 1));
}

/* ---- the automaton ---- */

/* Where the edge is in the table, or would go. */
static uint32_t slot_of(const automaton_t *a, uint32_t from, uint32_t symbol) {
    uint64_t mixed = ((uint64_t)from << 32 | symbol) * 0x9E3779B97F4A7C15u;
    uint32_t slot = (uint32_t)(mixed >> 32) & a->mask;
    while (a->table[slot] != NONE &&
           (a->edges[a->table[slot]].from != from || a->edges[a->table[slot]].symbol != symbol))
        slot = (slot + 1) & a->mask;
    return slot;
}

/* The edge's index, or NONE. */
static uint32_t edge_of(const automaton_t *a, uint32_t from, uint32_t symbol) {
    return a->table[slot_of(a, from, symbol)];
}

static void add_edge(automaton_t *a, uint32_t from, uint32_t symbol, uint32_t to) {
    a->edges[a->n_edges] = (edge_t){from, symbol, to, a->states[from].edges};
    a->table[slot_of(a, from, symbol)] = a->states[from].edges = a->n_edges;
    a->n_edges++;
}

static uint32_t add_state(automaton_t *a, uint32_t length, uint32_t link, uint32_t end) {
    a->states[a->n_states] = (state_t){length, link, end, NONE};
    return a->n_states++;
}

/* Splits state q, reached from p by symbol, into the short subwords, which get a state of their own, and the
 * long ones, which stay. */
static uint32_t split_state(automaton_t *a, uint32_t p, uint32_t q, uint32_t symbol) {
    const uint32_t clone = add_state(a, a->states[p].length + 1, a->states[q].link, a->states[q].end);
    for (uint32_t e = a->states[q].edges; e != NONE; e = a->edges[e].next)
        add_edge(a, clone, a->edges[e].symbol, a->edges[e].to);
    for (uint32_t e; p != NONE && (e = edge_of(a, p, symbol)) != NONE && a->edges[e].to == q;
         p = a->states[p].link)
        a->edges[e].to = clone;
    a->states[q].link = clone;
    return clone;
}

static void extend(automaton_t *a, uint32_t symbol, uint32_t position) {
    const uint32_t state = add_state(a, a->states[a->last].length + 1, 0, position);
    uint32_t p = a->last, e = NONE;
    for (; p != NONE && (e = edge_of(a, p, symbol)) == NONE; p = a->states[p].link)
        add_edge(a, p, symbol, state);
    if (p != NONE) {
        const uint32_t q = a->edges[e].to;
        a->states[state].link =
            a->states[p].length + 1 == a->states[q].length ? q : split_state(a, p, q, symbol);
    }
    a->last = state;
}

/* Room for n symbols: at most 2 n states and 3 n edges. FALSE where there is not so much memory. */
static gboolean automaton_init(automaton_t *a, size_t n) {
    size_t slots = 16;
    while (slots < 6 * (n + 2)) slots *= 2;
    if (slots > G_MAXUINT32) return FALSE;
    a->mask = (uint32_t)(slots - 1);
    a->states = g_try_new(state_t, 2 * (n + 2));
    a->edges = g_try_new(edge_t, 3 * (n + 2));
    a->table = g_try_new(uint32_t, slots);
    if (!a->states || !a->edges || !a->table) return FALSE;
    memset(a->table, 0xFF, slots * sizeof a->table[0]);
    a->last = add_state(a, 0, NONE, NONE);
    return TRUE;
}

/* ---- what others call ---- */

originality_t *originality_new(const roll_t *const *rolls, size_t n, const grid_t *grid, guint tracks,
                               GError **error) {
    originality_t *o = g_new0(originality_t, 1);
    o->grid = *grid;
    o->tracks = tracks;
    o->events = g_array_new(FALSE, FALSE, sizeof(event_t));
    o->first_event = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    o->symbols = g_hash_table_new_full(step_hash, step_equal, g_free, NULL);
    for (size_t i = 0; i < n; i++) {
        const uint32_t first = o->events->len;
        g_array_append_val(o->first_event, first);
        append_events(o, rolls[i], o->events);
        const event_t *event = (const event_t *)(void *)o->events->data;
        for (guint e = first + 1; e < o->events->len; e++) learn_symbol(o, &event[e - 1], &event[e]);
    }
    if (!automaton_init(&o->automaton, o->events->len)) {
        originality_free(o);
        program_fail(error, "originality: not enough memory for the songs; use a machine with more");
        return NULL;
    }
    const event_t *event = (const event_t *)(void *)o->events->data;
    /* Symbols that no piece has, one a song, keep passages from running over songs' ends. */
    uint32_t border = g_hash_table_size(o->symbols);
    for (guint i = 0; i < n; i++) {
        const uint32_t first = g_array_index(o->first_event, uint32_t, i);
        const uint32_t end = i + 1 < n ? g_array_index(o->first_event, uint32_t, i + 1) : o->events->len;
        for (uint32_t e = first; e < end; e++)
            extend(&o->automaton, e == first ? border++ : symbol_of(o, &event[e - 1], &event[e]), e);
    }
    return o;
}

void originality_free(originality_t *o) {
    if (!o) return;
    g_array_unref(o->events);
    g_array_unref(o->first_event);
    g_hash_table_unref(o->symbols);
    g_free(o->automaton.states);
    g_free(o->automaton.edges);
    g_free(o->automaton.table);
    g_free(o);
}

/* The song that an event is of. */
static size_t song_of(const originality_t *o, uint32_t event) {
    size_t low = 0, high = o->first_event->len;
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if (g_array_index(o->first_event, uint32_t, middle) <= event)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The passage of `steps` steps that ends at the piece's event `last` and at the songs' event `song_last`. */
static passage_t describe(const originality_t *o, const GArray *piece, uint32_t last, uint32_t song_last,
                          uint32_t steps) {
    const event_t *first = &g_array_index(piece, event_t, last - steps),
                  *song_first = &g_array_index(o->events, event_t, song_last - steps);
    passage_t passage = {.events = steps + 1,
                         .frames = g_array_index(piece, event_t, last).frame - first->frame + 1,
                         .first = first->frame,
                         .song = song_of(o, song_last),
                         .song_first = song_first->frame,
                         .semitones = first->lowest - song_first->lowest};
    for (uint32_t e = last - steps; e <= last; e++) passage.notes += g_array_index(piece, event_t, e).notes;
    return passage;
}

passage_t originality_find(const originality_t *o, const roll_t *roll) {
    const automaton_t *a = &o->automaton;
    g_autoptr(GArray) piece = g_array_new(FALSE, FALSE, sizeof(event_t));
    append_events(o, roll, piece);
    passage_t passage = {0};
    uint32_t state = 0, matched = 0, longest = 0, last = 0, song_last = 0;
    for (guint i = 1; i < piece->len; i++) {
        const uint32_t symbol =
            symbol_of(o, &g_array_index(piece, event_t, i - 1), &g_array_index(piece, event_t, i));
        uint32_t e;
        while ((e = edge_of(a, state, symbol)) == NONE && state != 0) {
            state = a->states[state].link;
            matched = a->states[state].length;
        }
        if (e == NONE) continue;
        state = a->edges[e].to;
        if (++matched <= longest) continue;
        longest = matched;
        last = i;
        song_last = a->states[state].end;
    }
    if (longest > 0) passage = describe(o, piece, last, song_last, longest);
    passage.piece_events = piece->len;
    return passage;
}
