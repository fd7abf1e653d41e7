/* picture: owns the panel (one stretch of a roll with its grid), and the two pictures laid out of them.
 * Refuses nothing but the canvas' failures: callers hand in rolls that are canonical and of the grid's
 * shape. */
#include "sampler/show/picture.h"

#include <math.h>

#include "sampler/show/canvas.h"

enum { KEYBOARD = 14, DRUM_ROW = 9, STRIP_GAP = 6, SYSTEM_BARS = 8, METER_ROOM = 30 };

/* Okabe & Ito 2008: told apart by colour-blind readers too. */
static const colour_t palette[ROLL_MAX_TRACKS] = {{0.00, 0.45, 0.70}, {0.90, 0.62, 0.00}, {0.00, 0.62, 0.45},
                                                  {0.80, 0.47, 0.65}, {0.84, 0.37, 0.00}, {0.34, 0.71, 0.91},
                                                  {0.60, 0.56, 0.10}, {0.30, 0.30, 0.30}};
static const colour_t black_key = {0.945, 0.945, 0.955};

/* General MIDI level 1 percussion, keys 35 to 81. */
static const char *const percussion[] = {
    "Bass drum 2",   "Bass drum 1",   "Side stick",  "Snare 1",       "Hand clap",    "Snare 2",
    "Low tom 2",     "Closed hi-hat", "Low tom 1",   "Pedal hi-hat",  "Mid tom 2",    "Open hi-hat",
    "Mid tom 1",     "High tom 2",    "Crash 1",     "High tom 1",    "Ride 1",       "China",
    "Ride bell",     "Tambourine",    "Splash",      "Cowbell",       "Crash 2",      "Vibraslap",
    "Ride 2",        "High bongo",    "Low bongo",   "Mute conga",    "Open conga",   "Low conga",
    "High timbale",  "Low timbale",   "High agogo",  "Low agogo",     "Cabasa",       "Maracas",
    "Short whistle", "Long whistle",  "Short guiro", "Long guiro",    "Claves",       "High block",
    "Low block",     "Mute cuica",    "Open cuica",  "Mute triangle", "Open triangle"};

/* ---- what the axes show ---- */

typedef struct {
    int low, high;  /* pitches, both shown, from C to C where MIDI has them; high < low: no pitched track */
    double row;     /* height of a pitch */
    int drums[128]; /* keys in use, ascending */
    size_t n_drums;
    double left; /* width of the labels */
} rows_t;

typedef struct {
    double x, y, width;  /* of the grid, labels outside */
    size_t first, span;  /* frames at the left edge and over the width */
    const GArray *bars;  /* bar_t, of the whole piece */
    const roll_t *given; /* NULL: nothing is told apart */
    gboolean labels;
} panel_t;

static gboolean is_drums(const grid_t *grid, size_t track) { return grid->roles[track] == ROLE_DRUMS; }

/* Pitches in use, whole octaves, two at least. */
static rows_t rows_measure(roll_t *const *rolls, size_t n, const grid_t *grid) {
    rows_t rows = {.low = 0, .high = -1, .left = PAGE_MARGIN + 28 + KEYBOARD};
    gboolean pitched = FALSE, struck[128] = {FALSE};
    int lowest = 128, highest = -1, low, high;
    for (size_t k = 0; k < (size_t)grid->n_tracks; k++) pitched = pitched || !is_drums(grid, k);
    for (size_t i = 0; i < n; i++) {
        if (roll_pitch_range(rolls[i]->bits, rolls[i]->frames, grid, &low, &high)) {
            lowest = MIN(lowest, grid->pitch_low + low);
            highest = MAX(highest, grid->pitch_low + high);
        }
        for (size_t t = 0; t < rolls[i]->frames; t++)
            for (size_t k = 0; k < rolls[i]->tracks; k++)
                for (size_t p = 0; p < rolls[i]->pitches && is_drums(grid, k); p++)
                    if (roll_get(rolls[i], t, k, PLANE_SOUNDING, p))
                        struck[(size_t)grid->pitch_low + p] = TRUE;
    }
    if (highest < 0) lowest = highest = 60;
    if (pitched) {
        rows.low = lowest / 12 * 12;
        rows.high = MIN(127, MAX((highest + 11) / 12 * 12, rows.low + 24));
    }
    for (int p = 0; p < 128; p++)
        if (struck[p]) rows.drums[rows.n_drums++] = p;
    if (rows.n_drums > 0) rows.left += 32;
    return rows;
}

static double rows_pitched_height(const rows_t *rows) { return rows->row * (rows->high - rows->low + 1); }

static double rows_height(const rows_t *rows) {
    const double strip = (double)rows->n_drums * DRUM_ROW;
    return rows_pitched_height(rows) + strip + (strip > 0 && rows->high >= rows->low ? STRIP_GAP : 0);
}

/* Top of a pitch's row, from the panel's top; height to *height. */
static double rows_top(const rows_t *rows, gboolean drums, int pitch, double *height) {
    *height = drums ? DRUM_ROW : rows->row;
    if (!drums) return (rows->high - pitch) * rows->row;
    size_t i = 0;
    while (i < rows->n_drums && rows->drums[i] != pitch) i++;
    return rows_height(rows) - (double)(i + 1) * DRUM_ROW;
}

static gboolean is_black_key(int pitch) {
    return (1 << pitch % 12 & (1 << 1 | 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10)) != 0;
}

/* ---- the panel ---- */

static void draw_rows(canvas_t *canvas, const panel_t *panel, const rows_t *rows) {
    double height;
    for (int p = rows->low; p <= rows->high; p++) {
        const double y = panel->y + rows_top(rows, FALSE, p, &height);
        if (is_black_key(p)) canvas_rectangle(canvas, panel->x, y, panel->width, height, black_key, 1);
        if (panel->labels)
            canvas_rectangle(canvas, panel->x - KEYBOARD, y, is_black_key(p) ? KEYBOARD * 0.65 : 0, height,
                             canvas_ink, 1);
        if (p % 12 == 0 || p % 12 == 5) /* between B and C, and between E and F */
            canvas_line(canvas, panel->x - (panel->labels ? KEYBOARD : 0), y + height,
                        panel->x + panel->width, y + height, 0.5, p % 12 == 0 ? canvas_rule : canvas_faint);
        if (panel->labels && p % 12 == 0) {
            g_autofree char *name = g_strdup_printf("C%d", p / 12 - 1);
            canvas_text(canvas, panel->x - KEYBOARD - 4, y + height / 2 + 3.5, RIGHT, 10, FALSE, canvas_ink,
                        60, name);
        }
    }
    if (panel->labels && rows->high >= rows->low)
        canvas_box(canvas, panel->x - KEYBOARD, panel->y, KEYBOARD, rows_pitched_height(rows));
    for (size_t i = 0; i < rows->n_drums; i++) {
        const int key = rows->drums[i];
        const double y = panel->y + rows_top(rows, TRUE, key, &height);
        if (i % 2 == 0) canvas_rectangle(canvas, panel->x, y, panel->width, height, black_key, 1);
        if (!panel->labels) continue;
        const gboolean named = key >= 35 && key < 35 + (int)G_N_ELEMENTS(percussion);
        g_autofree char *number = g_strdup_printf("Key %d", key);
        canvas_text(canvas, panel->x - 4, y + height - 2, RIGHT, 8, FALSE, canvas_grey, rows->left - 6,
                    named ? percussion[key - 35] : number);
    }
}

static const bar_t *bar_at(const GArray *bars, size_t i) { return &g_array_index(bars, bar_t, i); }

static gboolean meter_changes(const GArray *bars, size_t i) {
    const meter_change_t *meter = &bar_at(bars, i)->meter,
                         *before = i > 0 ? &bar_at(bars, i - 1)->meter : NULL;
    return !before || meter->numerator != before->numerator || meter->denominator != before->denominator;
}

static gboolean is_one_meter(const GArray *bars) {
    for (size_t i = 1; i < bars->len; i++)
        if (meter_changes(bars, i)) return FALSE;
    return TRUE;
}

/* Beats of bar i, up to the next bar or the panel's end. */
static void draw_beats(canvas_t *canvas, const panel_t *panel, size_t i, double dx, double height) {
    const bar_t *bar = bar_at(panel->bars, i);
    const double beat = bar->frames / bar->meter.numerator, first = (double)panel->first,
                 last = first + (double)panel->span;
    const double end = i + 1 < panel->bars->len ? fmin(bar_at(panel->bars, i + 1)->frame, last) : last;
    for (double b = 0; bar->frame + b * beat < end - 1e-9 && beat * dx >= 5; b++) {
        const double x = panel->x + (bar->frame + b * beat - first) * dx;
        if (x >= panel->x) canvas_line(canvas, x, panel->y, x, panel->y + height, 0.5, canvas_faint);
    }
}

static gboolean is_labelled(const GArray *bars, size_t i, size_t every) {
    return i % every == 0 || meter_changes(bars, i);
}

/* The line of bar i, with its number, and its meter where that is new, as far as there is room before the
 * next label. */
static void draw_bar(canvas_t *canvas, const panel_t *panel, size_t i, double dx, double height,
                     size_t every) {
    const GArray *bars = panel->bars;
    const bar_t *bar = bar_at(bars, i);
    const double x = panel->x + (bar->frame - (double)panel->first) * dx;
    canvas_line(canvas, x, panel->y - 3, x, panel->y + height, 0.75, canvas_rule);
    if (!is_labelled(bars, i, every)) return;
    const gboolean named = meter_changes(bars, i) && !is_one_meter(bars);
    g_autofree char *label =
        named ? g_strdup_printf("%zu · %d/%d", i + 1, bar->meter.numerator, bar->meter.denominator)
              : g_strdup_printf("%zu", i + 1);
    size_t next = i + 1;
    while (next < bars->len && !is_labelled(bars, next, every)) next++;
    const double room =
        (next < bars->len ? bar_at(bars, next)->frame - bar->frame : bar->frames * (double)every) * dx;
    if (!named || room >= METER_ROOM)
        canvas_text(canvas, x + 2, panel->y - 2, LEFT, 9, named, canvas_grey, room, label);
}

static void draw_time(canvas_t *canvas, const panel_t *panel, const rows_t *rows) {
    const double dx = panel->width / (double)panel->span, height = rows_height(rows);
    const GArray *bars = panel->bars;
    const double bar = bar_at(bars, bars->len - 1)->frame / fmax(1, bars->len - 1); /* the mean one */
    const size_t every = bar * dx >= 22 || bars->len == 1 ? 1
                         : bar * dx * 4 >= 22             ? 4
                                                          : 16; /* bars a number */
    size_t first = 0, end = 0;
    while (first < bars->len && bar_at(bars, first)->frame < (double)panel->first) first++;
    for (end = first; end < bars->len && bar_at(bars, end)->frame < (double)(panel->first + panel->span);)
        end++;
    for (size_t i = first > 0 ? first - 1 : 0; i < end; i++) draw_beats(canvas, panel, i, dx, height);
    for (size_t i = first; i < end; i++) draw_bar(canvas, panel, i, dx, height, every);
    canvas_box(canvas, panel->x, panel->y, panel->width, rows_pitched_height(rows));
    if (rows->n_drums > 0)
        canvas_box(canvas, panel->x, panel->y + height - (double)rows->n_drums * DRUM_ROW, panel->width,
                   (double)rows->n_drums * DRUM_ROW);
}

/* What was given has the track's colour mixed with white. */
static colour_t shade(size_t track, gboolean given) {
    const colour_t full = palette[track];
    const double white = given ? 0.6 : 0;
    return (colour_t){full.r + white * (1 - full.r), full.g + white * (1 - full.g),
                      full.b + white * (1 - full.b)};
}

/* One note, inset so that neighbours stay apart. A track drawn later is drawn flatter, so that a unison shows
 * both colours. */
static void draw_note(canvas_t *canvas, double x, double y, double width, double height, size_t track,
                      gboolean given, gboolean onset) {
    const colour_t colour = shade(track, given), dark = {colour.r * 0.55, colour.g * 0.55, colour.b * 0.55};
    const double inset = fmin(height * (0.06 + 0.09 * (double)track), height * 0.3),
                 gap = fmin(0.8, width * 0.15);
    canvas_rectangle(canvas, x, y + inset, width - gap, height - 2 * inset, colour, 0.92);
    if (onset) canvas_rectangle(canvas, x, y + inset, fmin(2, width * 0.35), height - 2 * inset, dark, 1);
}

static gboolean is_given(const panel_t *panel, size_t t, size_t k, size_t p) {
    return panel->given && roll_get(panel->given, t, k, PLANE_SOUNDING, p);
}

static void draw_notes(canvas_t *canvas, const panel_t *panel, const rows_t *rows, const roll_t *roll,
                       const grid_t *grid) {
    const double dx = panel->width / (double)panel->span;
    const size_t end = MIN(panel->first + panel->span, roll->frames);
    for (size_t k = 0; k < roll->tracks; k++)
        for (size_t p = 0; p < roll->pitches; p++)
            for (size_t t = panel->first; t < end;) {
                if (!roll_get(roll, t, k, PLANE_SOUNDING, p)) {
                    t++;
                    continue;
                }
                const size_t start = t++;
                const gboolean given = is_given(panel, start, k, p);
                while (t < end && roll_get(roll, t, k, PLANE_SOUNDING, p) &&
                       !roll_get(roll, t, k, PLANE_ONSET, p) && is_given(panel, t, k, p) == given)
                    t++;
                double height;
                const double y =
                    panel->y + rows_top(rows, is_drums(grid, k), grid->pitch_low + (int)p, &height);
                draw_note(canvas, panel->x + (double)(start - panel->first) * dx, y, (double)(t - start) * dx,
                          height, k, given, roll_get(roll, start, k, PLANE_ONSET, p));
            }
}

static void draw_panel(canvas_t *canvas, const panel_t *panel, const rows_t *rows, const roll_t *roll,
                       const grid_t *grid) {
    draw_rows(canvas, panel, rows);
    draw_time(canvas, panel, rows);
    draw_notes(canvas, panel, rows, roll, grid);
}

/* An entry of the legend that ends at x: a swatch of tracks first to end - 1 in one shade, and its name.
 * Returns where the entry before it ends. */
static double draw_entry(canvas_t *canvas, double x, size_t first, size_t end, gboolean given,
                         const char *name) {
    const double width = end - first > 1 ? 5 : 11;
    x -= canvas_text(canvas, x, 26, RIGHT, 11, FALSE, canvas_ink, 200, name) + 5;
    for (size_t k = end; k-- > first;) {
        x -= width;
        canvas_rectangle(canvas, x, 17, width, 10, shade(k, given), 1);
    }
    return x - 14;
}

/* Title at the left; at the right a swatch and name a track, and, where they are told apart, for what was
 * given and what was written. */
static void draw_head(canvas_t *canvas, const char *title, const grid_t *grid, gboolean given) {
    const size_t tracks = (size_t)grid->n_tracks;
    double x = PAGE_WIDTH - PAGE_MARGIN;
    for (size_t k = tracks; k-- > 0;) x = draw_entry(canvas, x, k, k + 1, FALSE, role_name(grid->roles[k]));
    if (given) {
        x = draw_entry(canvas, x - 14, 0, tracks, FALSE, "written");
        x = draw_entry(canvas, x, 0, tracks, TRUE, "given");
    }
    canvas_text(canvas, PAGE_MARGIN, 27, LEFT, 14, TRUE, canvas_ink, x - PAGE_MARGIN - 8, title);
}

/* ---- the pictures ---- */

/* A system's first frame, and its end: it begins with one bar and ends before another, or with the piece. */
static size_t system_first(const GArray *bars, size_t bar) {
    return (size_t)floor(bar_at(bars, bar)->frame + 1e-9);
}
static size_t system_end(const GArray *bars, size_t bar, size_t frames) {
    return bar < bars->len ? (size_t)ceil(bar_at(bars, bar)->frame - 1e-9) : frames;
}

GBytes *picture_roll(const roll_t *roll, const roll_t *given, const grid_t *grid, const timeline_t *timeline,
                     const char *title, picture_format_t format, GError **error) {
    rows_t rows = rows_measure((roll_t *const[]){(roll_t *)roll}, 1, grid);
    g_autoptr(GArray) bars = timeline_bars(timeline, (int64_t)roll->frames);
    const double pitches = fmax(1, rows.high - rows.low + 1);
    size_t system_bars = SYSTEM_BARS;
    rows.row = bars->len > SYSTEM_BARS ? CLAMP(220 / pitches, 4, 7) : CLAMP(380 / pitches, 5, 11);
    while (ceil((double)bars->len / (double)system_bars) * (rows_height(&rows) + 30) > PAGE_TALLEST)
        system_bars *= 2; /* an hour of music still fits */
    const size_t systems = (bars->len + system_bars - 1) / system_bars;
    size_t span = 1; /* of the longest system, which has the page's width */
    for (size_t s = 0; s < systems; s++)
        span = MAX(span, system_end(bars, (s + 1) * system_bars, roll->frames) -
                             system_first(bars, s * system_bars));
    const double pitch = rows_height(&rows) + 30;

    canvas_t *canvas = canvas_new(PAGE_WIDTH, PAGE_HEAD + 12 + (double)systems * pitch, format);
    draw_head(canvas, title, grid, given != NULL);
    for (size_t s = 0; s < systems; s++) {
        panel_t panel = {.x = rows.left,
                         .y = PAGE_HEAD + 12 + (double)s * pitch,
                         .width = PAGE_WIDTH - PAGE_MARGIN - rows.left,
                         .given = given,
                         .labels = TRUE};
        panel.first = system_first(bars, s * system_bars);
        panel.span = system_end(bars, (s + 1) * system_bars, roll->frames) - panel.first;
        panel.bars = bars;
        panel.width *= (double)panel.span / (double)span;
        draw_panel(canvas, &panel, &rows, roll, grid);
    }
    return canvas_finish(canvas, error);
}

/* Columns of a sheet: two to four, the fewest empty places. */
static size_t sheet_columns(size_t n) {
    size_t best = MIN(n, 4);
    for (size_t columns = 4; columns >= 2 && n > 3; columns--)
        if ((columns - n % columns) % columns < (best - n % best) % best) best = columns;
    return best;
}

GBytes *picture_sheet(roll_t *const *rolls, char *const *labels, size_t n, const grid_t *grid,
                      const timeline_t *timeline, const char *title, picture_format_t format,
                      GError **error) {
    rows_t rows = rows_measure(rolls, n, grid);
    rows.row = CLAMP(170 / fmax(1, rows.high - rows.low + 1), 2.5, 6);
    size_t span = 1;
    for (size_t i = 0; i < n; i++) span = MAX(span, rolls[i]->frames);
    g_autoptr(GArray) bars = timeline_bars(timeline, (int64_t)span);
    const size_t columns = sheet_columns(n), lines = (n + columns - 1) / columns;
    const double pitch = rows_height(&rows) + 46, gap = 14;
    const double width =
        (PAGE_WIDTH - PAGE_MARGIN - rows.left - gap * (double)(columns - 1)) / (double)columns;

    canvas_t *canvas = canvas_new(PAGE_WIDTH, PAGE_HEAD + (double)lines * pitch + 8, format);
    draw_head(canvas, title, grid, FALSE);
    for (size_t i = 0; i < n; i++) {
        const size_t column = i % columns, line = i / columns;
        const panel_t panel = {.x = rows.left + (double)column * (width + gap),
                               .y = PAGE_HEAD + 32 + (double)line * pitch,
                               .width = width,
                               .span = span,
                               .bars = bars,
                               .labels = column == 0};
        canvas_text(canvas, panel.x, panel.y - 15, LEFT, 11, TRUE, canvas_ink, width, labels[i]);
        draw_panel(canvas, &panel, &rows, rolls[i], grid);
    }
    return canvas_finish(canvas, error);
}
